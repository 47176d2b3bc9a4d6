package main

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
)

// Options that give the member actors of a kind; none for an empty kind.
func withActorsOf(kind string) []cluster.ConfigOption {
	if kind == "" {
		return nil
	}
	props := actor.PropsFromFunc(func(actor.Context) {})
	return []cluster.ConfigOption{cluster.WithKinds(cluster.NewKind(kind, props))}
}

// Activates the actor with an identity, at the member that protoactor-go chooses, and returns the address of that.
func (m *member) activate(kind string, identity string) any {
	pid := m.Cluster.Get(identity, kind)
	if pid == nil {
		return outcome(fmt.Errorf("no member activates %s %s", kind, identity))
	}
	return map[string]any{"address": pid.Address}
}

// Stops such an actor.
func (m *member) stop(kind string, identity string) any {
	return outcome(m.ActorSystem.Root.PoisonFuture(m.Cluster.Get(identity, kind)).Wait())
}

// The actor counts in the heartbeats that this member knows, by member id and kind.
func (m *member) counts() any {
	heartbeats, err := m.Gossip.GetState(cluster.HeartbeatKey)
	if err != nil {
		return outcome(err)
	}
	counts := map[string]map[string]int64{}
	for id, held := range heartbeats {
		heartbeat := &cluster.MemberHeartbeat{}
		if err := held.Value.UnmarshalTo(heartbeat); err != nil {
			return outcome(err)
		}
		counts[id] = heartbeat.GetActorStatistics().GetActorCount()
	}
	return map[string]any{"counts": counts}
}
