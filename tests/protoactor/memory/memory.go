// Package memory has members with protoactor-go's own gossip actor, each in a cluster of its own. The network between
// them delivers a letter when a test does.
package memory

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/gofun/set"
	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/proto"
)

// Bound is the time limit of an answer.
const Bound = 10 * time.Second

// Settings of a member. Zeros stand for the settings of a history: all state to all members, and no request that times
// out.
type Settings struct {
	RequestTimeout time.Duration
	FanOut         int
	MaxSend        int
}

// Letter is a gossip request in transit, or lost.
type Letter struct {
	From, To string
	Request  *cluster.GossipRequest
	sender   *actor.PID
}

// Member is one gossip actor with its surroundings.
type Member struct {
	ID      string
	System  *actor.ActorSystem
	Cluster *cluster.Cluster
	pid     *actor.PID

	mutex   sync.Mutex
	letters []*Letter
	updates []*cluster.GossipUpdate
}

// System is an actor system that stores messages to members outside of this process as letters.
func System(id string, keep func(*Letter)) *actor.ActorSystem {
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError + 1}))
	}))
	system.ID = id
	system.ProcessRegistry.RegisterAddressResolver(func(pid *actor.PID) (actor.Process, bool) {
		host, isMember := strings.CutSuffix(pid.Address, ":1")
		return &box{from: id, to: host, keep: keep}, isMember
	})
	return system
}

// Record is the record of a member with this id; its address does not exist.
func Record(id string) *cluster.Member {
	return &cluster.Member{Host: id, Port: 1, Id: id}
}

// Records returns the records of these ids.
func Records(ids ...string) cluster.Members {
	members := cluster.Members{}
	for _, id := range ids {
		members = append(members, Record(id))
	}
	return members
}

// Start makes a member that knows only itself.
func Start(id string, settings Settings) *Member {
	if settings.RequestTimeout == 0 {
		settings.RequestTimeout = time.Hour
	}
	if settings.FanOut == 0 {
		settings.FanOut = 1_000
	}
	if settings.MaxSend == 0 {
		settings.MaxSend = 1_000
	}
	m := &Member{ID: id}
	m.System = System(id, func(letter *Letter) {
		m.mutex.Lock()
		defer m.mutex.Unlock()
		m.letters = append(m.letters, letter)
	})
	settled := cluster.Configure("memory", nil, nil, remote.Configure("127.0.0.1", 0))
	m.Cluster = cluster.New(m.System, settled)
	// The member list asks it for blocked members; it is never started.
	m.Cluster.Remote = remote.NewRemote(m.System, settled.RemoteConfig)
	m.System.EventStream.Subscribe(func(event interface{}) {
		switch event := event.(type) {
		case *cluster.GossipUpdate:
			m.mutex.Lock()
			defer m.mutex.Unlock()
			m.updates = append(m.updates, event)
		case *cluster.ClusterTopology:
			// The gossiper does this in a started cluster.
			m.System.Root.Send(m.pid, event)
		}
	})
	props := actor.PropsFromProducerWithActorSystem(func(system *actor.ActorSystem) actor.Actor {
		return cluster.NewGossipActor(settings.RequestTimeout, id, func() set.Set[string] {
			return m.Cluster.GetBlockedMembers()
		}, settings.FanOut, settings.MaxSend, system)
	})
	pid, err := m.System.Root.SpawnNamed(props, cluster.DefaultGossipActorName)
	if err != nil {
		panic(err)
	}
	m.pid = pid
	return m
}

// Stop ends the member's actor.
func (m *Member) Stop() {
	if err := m.System.Root.StopFuture(m.pid).Wait(); err != nil {
		panic(err)
	}
	m.System.Shutdown()
}

// Learn sets the members of the cluster, itself included, as a provider does.
func (m *Member) Learn(ids ...string) { m.Cluster.MemberList.UpdateClusterTopology(Records(ids...)) }

// Tell sends the gossip actor a message without an answer.
func (m *Member) Tell(message interface{}) { m.System.Root.Send(m.pid, message) }

// Ask sends the gossip actor a message, and returns the answer.
func (m *Member) Ask(message interface{}) interface{} {
	answer, err := m.System.Root.RequestFuture(m.pid, message, Bound).Result()
	if err != nil {
		panic(fmt.Errorf("%s does not answer %T: %w", m.ID, message, err))
	}
	return answer
}

// Set sets a key of the member.
func (m *Member) Set(key string, value proto.Message) {
	message := cluster.NewGossipStateKey(key, value)
	m.Ask(&message)
}

// Get returns the entries of a key at this member, by member id.
func (m *Member) Get(key string) map[string]*cluster.GossipKeyValue {
	message := cluster.NewGetGossipStateRequest(key)
	return m.Ask(&message).(*cluster.GetGossipStateResponse).State
}

// Send makes the member gossip once, and returns its letters.
func (m *Member) Send() []*Letter {
	m.Ask(&cluster.SendGossipStateRequest{})
	m.mutex.Lock()
	defer m.mutex.Unlock()
	letters := m.letters
	m.letters = nil
	return letters
}

// Deliver hands the member a letter, and the sender the answer. A letter may be delivered more than once. It returns
// the updates that the member published.
func (m *Member) Deliver(letter *Letter, sender *Member) []*cluster.GossipUpdate {
	m.mutex.Lock()
	m.updates = nil
	m.mutex.Unlock()
	// A copy, as over a network: actors change their state in place.
	answer := m.Ask(proto.Clone(letter.Request)).(*cluster.GossipResponse)
	sender.System.Root.Send(letter.sender, proto.Clone(answer))
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.updates
}

// Receives messages from an actor to another member.
type box struct {
	from, to string
	keep     func(*Letter)
}

func (b *box) SendUserMessage(_ *actor.PID, message interface{}) {
	_, body, sender := actor.UnwrapEnvelope(message)
	if request, ok := body.(*cluster.GossipRequest); ok {
		copied := proto.Clone(request).(*cluster.GossipRequest)
		b.keep(&Letter{From: b.from, To: b.to, Request: copied, sender: sender})
	}
}

func (b *box) SendSystemMessage(*actor.PID, interface{}) {}

func (b *box) Stop(*actor.PID) {}
