package main

import (
	"github.com/asynkron/protoactor-go/cluster"
)

// A provider that looks for no members: they are those of the last command `list`.
type manualProvider struct{}

func (manualProvider) StartMember(*cluster.Cluster) error { return nil }

func (manualProvider) StartClient(*cluster.Cluster) error { return nil }

func (manualProvider) Shutdown(bool) error { return nil }
