// A member of a protoactor-go cluster for the benchmark. The cluster provider is a fixed list of all members, so
// that only gossip is measured: values, first heartbeats and expired heartbeats.
package main

import (
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/cluster/identitylookup/disthash"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"bench_peers/line"
)

const (
	valueKey = "value"
	// A change of the block list emits no event, so it is read this often.
	blockedCheck = 50 * time.Millisecond
	// The interval at which the provider lists the members again; the cluster then drops blocked ones.
	listRefresh = time.Second
)

// A cluster provider that names all members from the start.
type fixedList struct {
	members cluster.Members
	stopped chan struct{}
}

func (f *fixedList) StartMember(c *cluster.Cluster) error {
	c.MemberList.UpdateClusterTopology(f.members)
	go func() {
		ticker := time.NewTicker(listRefresh)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				c.MemberList.UpdateClusterTopology(f.members)
			case <-f.stopped:
				return
			}
		}
	}()
	return nil
}

func (f *fixedList) StartClient(*cluster.Cluster) error { return nil }

func (f *fixedList) Shutdown(bool) error {
	close(f.stopped)
	return nil
}

func main() {
	options := line.Parse()
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 1}))
	}))
	system.ID = options.ID
	provider := &fixedList{stopped: make(chan struct{})}
	for _, each := range options.Members {
		provider.members = append(provider.members, &cluster.Member{Host: "127.0.0.1", Port: int32(each.Port), Id: each.ID})
	}
	config := cluster.Configure("bench", provider, disthash.New(), remote.Configure("127.0.0.1", options.Port))
	config.GossipInterval = time.Duration(options.GossipIntervalMs) * time.Millisecond
	config.GossipFanOut = options.FanOut
	self := cluster.New(system, config)
	reportUpdates(system)
	self.StartMember()
	line.Report("ready", options.ID)
	go reportBlocked(self)
	line.Follow(func(value string) { self.Gossip.SetState(valueKey, wrapperspb.String(value)) })
}

// Reports values of others, and the number of members: a member counts from its first heartbeat on.
func reportUpdates(system *actor.ActorSystem) {
	var mutex sync.Mutex
	heard := map[string]bool{system.ID: true}
	system.EventStream.Subscribe(func(event any) {
		update, ok := event.(*cluster.GossipUpdate)
		if !ok || update.MemberID == system.ID {
			return
		}
		mutex.Lock()
		isFirst := !heard[update.MemberID]
		heard[update.MemberID] = true
		count := len(heard)
		mutex.Unlock()
		if isFirst {
			line.Report("members", count)
		}
		if update.Key == valueKey {
			value := &wrapperspb.StringValue{}
			if update.Value.UnmarshalTo(value) == nil {
				line.Report("seen", value.Value)
			}
		}
	})
}

func reportBlocked(c *cluster.Cluster) {
	reported := map[string]bool{}
	for range time.Tick(blockedCheck) {
		blocked := c.GetBlockedMembers()
		if blocked.Size() == len(reported) {
			continue
		}
		for _, id := range blocked.ToSlice() {
			if !reported[id] {
				reported[id] = true
				line.Report("gone", id)
			}
		}
	}
}
