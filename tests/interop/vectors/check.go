package main

import "io"

func check(io.Reader) (any, error) { return nil, nil }

func replay(io.Reader) (any, error) { return nil, nil }
