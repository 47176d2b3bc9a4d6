package main

import (
	"github.com/asynkron/protoactor-go/cluster"
)

// A provider without discovery; the command `list` sets the members.
type manualProvider struct{}

func (manualProvider) StartMember(*cluster.Cluster) error { return nil }

func (manualProvider) StartClient(*cluster.Cluster) error { return nil }

func (manualProvider) Shutdown(bool) error { return nil }
