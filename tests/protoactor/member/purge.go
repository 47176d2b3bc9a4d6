package main

import (
	"sort"

	"github.com/asynkron/protoactor-go/cluster"
)

// Makes the gossip actor purge as newer versions of protoactor-go do: it drops the state of every member that the
// provider does not list. The pinned version does not purge. A consensus check runs inside the actor with the actor's
// own state: after the topology is set, after the heartbeat is set (before each send), and after a heartbeat was merged.
func (m *member) purgeUnlisted() {
	check := newCheck(cluster.NewConsensusCheck, []string{cluster.TopologyKey, cluster.HeartbeatKey}, m.purge)
	add := cluster.NewAddConsensusCheck("purge", &check)
	m.ActorSystem.Root.Send(m.ActorSystem.NewLocalPID(cluster.DefaultGossipActorName), &add)
}

// The element type of the check's second parameter is not exported, so it is inferred from the constructor.
func newCheck[Element any, Check ~func(*cluster.GossipState, map[string]Element)](
	construct func([]string, Check) cluster.ConsensusCheck, keys []string, run func(*cluster.GossipState),
) cluster.ConsensusCheck {
	return construct(keys, func(state *cluster.GossipState, _ map[string]Element) { run(state) })
}

func (m *member) purge(state *cluster.GossipState) {
	listed := map[string]bool{m.ActorSystem.ID: true}
	// The gossip actor set this key when it received the topology, so the two cannot differ.
	if own := state.Members[m.ActorSystem.ID].GetValues()[cluster.TopologyKey]; own != nil {
		topology := &cluster.ClusterTopology{}
		if err := own.Value.UnmarshalTo(topology); err != nil {
			panic(err)
		}
		for _, each := range topology.Members {
			listed[each.Id] = true
		}
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for id, held := range state.Members {
		if listed[id] {
			continue
		}
		delete(state.Members, id)
		for key := range held.Values {
			m.purged[id+"/"+key] = true
		}
	}
}

// All purged keys so far, as member id/key.
func (m *member) purgedKeys() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	keys := []string{}
	for key := range m.purged {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
