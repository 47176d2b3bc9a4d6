// Package memory has members that hold protoactor-go's own gossip actor, each with a cluster around it, and a
// network between them that delivers what and when a test says.
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

// Bound is how long anything here may take that is to come at once.
const Bound = 10 * time.Second

// Settings are what a member differs in; zeros stand for what a history wants: everything to everybody, and no
// request that times out.
type Settings struct {
	RequestTimeout time.Duration
	FanOut         int
	MaxSend        int
}

// Letter is a gossip request on its way, or lost.
type Letter struct {
	From, To string
	Request  *cluster.GossipRequest
	sender   *actor.PID
}

// Member is one gossip actor and what is around it.
type Member struct {
	ID      string
	System  *actor.ActorSystem
	Cluster *cluster.Cluster
	pid     *actor.PID

	mutex   sync.Mutex
	letters []*Letter
	updates []*cluster.GossipUpdate
}

// System is an actor system whose words to members that do not exist in this process are kept as letters.
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

// Record is how a member of that id is listed: at an address that is nowhere.
func Record(id string) *cluster.Member {
	return &cluster.Member{Host: id, Port: 1, Id: id}
}

// Records lists the members of these ids.
func Records(ids ...string) cluster.Members {
	members := cluster.Members{}
	for _, id := range ids {
		members = append(members, Record(id))
	}
	return members
}

// Start makes a member that knows of itself only.
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
	// The member list asks it who is blocked; it is never started.
	m.Cluster.Remote = remote.NewRemote(m.System, settled.RemoteConfig)
	m.System.EventStream.Subscribe(func(event interface{}) {
		switch event := event.(type) {
		case *cluster.GossipUpdate:
			m.mutex.Lock()
			defer m.mutex.Unlock()
			m.updates = append(m.updates, event)
		case *cluster.ClusterTopology:
			// As the gossiper does it, which is not started.
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

// Learn tells the member who belongs to the cluster, itself included, as a provider does.
func (m *Member) Learn(ids ...string) { m.Cluster.MemberList.UpdateClusterTopology(Records(ids...)) }

// Tell sends the gossip actor something that it does not answer.
func (m *Member) Tell(message interface{}) { m.System.Root.Send(m.pid, message) }

// Ask sends the gossip actor something, and returns what it answers.
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

// Get returns what the member holds under a key, by member.
func (m *Member) Get(key string) map[string]*cluster.GossipKeyValue {
	message := cluster.NewGetGossipStateRequest(key)
	return m.Ask(&message).(*cluster.GetGossipStateResponse).State
}

// Send lets the member gossip once, and returns what it sent.
func (m *Member) Send() []*Letter {
	m.Ask(&cluster.SendGossipStateRequest{})
	m.mutex.Lock()
	defer m.mutex.Unlock()
	letters := m.letters
	m.letters = nil
	return letters
}

// Deliver hands the member a letter, and the sender the answer; it may be called more than once. It returns what
// the member says has changed by it.
func (m *Member) Deliver(letter *Letter, sender *Member) []*cluster.GossipUpdate {
	m.mutex.Lock()
	m.updates = nil
	m.mutex.Unlock()
	// A copy, as over a network: the actors change what they hold in place.
	answer := m.Ask(proto.Clone(letter.Request)).(*cluster.GossipResponse)
	sender.System.Root.Send(letter.sender, proto.Clone(answer))
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.updates
}

// Takes what an actor says to another member.
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
