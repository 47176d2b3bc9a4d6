package departures

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"interop/memory"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A cluster with one started member on loopback and its gossip loop. Its other members do not exist: letters to them
// are stored, and the test sends in their name.
type started struct {
	*cluster.Cluster
	t       *testing.T
	mutex   sync.Mutex
	letters []*memory.Letter
}

func startCluster(t *testing.T, options ...cluster.ConfigOption) *started {
	s := &started{t: t}
	system := memory.System("a", func(letter *memory.Letter) {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.letters = append(s.letters, letter)
	})
	config := cluster.Configure("departures", stillProvider{}, noLookup{}, remote.Configure("127.0.0.1", 0), options...)
	s.Cluster = cluster.New(system, config)
	s.StartMember()
	return s
}

func gossipEvery(interval time.Duration) cluster.ConfigOption {
	return func(config *cluster.Config) { config.GossipInterval = interval }
}

func (s *started) stopAfterwards() *started {
	s.t.Cleanup(func() { s.Shutdown(true) })
	return s
}

// Sends values in the name of another member.
func (s *started) hear(id string, values map[string]*cluster.GossipKeyValue) {
	request := &cluster.GossipRequest{FromMemberId: "a", State: &cluster.GossipState{
		Members: map[string]*cluster.GossipMemberState{id: {Values: values}},
	}}
	pid := s.ActorSystem.NewLocalPID(cluster.DefaultGossipActorName)
	if _, err := s.ActorSystem.Root.RequestFuture(pid, request, memory.Bound).Result(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *started) sent() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return len(s.letters)
}

func (s *started) isBlocked(id string) bool { return s.GetBlockedMembers().Contains(id) }

func (s *started) waitUntilBlocked(id string) {
	s.t.Helper()
	for end := time.Now().Add(memory.Bound); !s.isBlocked(id); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s must be blocked", id)
		}
	}
}

func entry(number int64, value proto.Message) *cluster.GossipKeyValue {
	packed, err := anypb.New(value)
	if err != nil {
		panic(err)
	}
	return &cluster.GossipKeyValue{SequenceNumber: number, Value: packed}
}

func beat(number int64) map[string]*cluster.GossipKeyValue {
	return map[string]*cluster.GossipKeyValue{cluster.HeartbeatKey: entry(number, &cluster.MemberHeartbeat{})}
}

func TestABlockIsForEver(t *testing.T) {
	t.Parallel()
	s := startCluster(t,
		cluster.WithHeartbeatExpiration(200*time.Millisecond), gossipEvery(20*time.Millisecond),
	).stopAfterwards()
	s.MemberList.UpdateClusterTopology(memory.Records("a", "b"))
	s.hear("b", beat(1))
	s.waitUntilBlocked("b")
	for number := range int64(20) {
		s.hear("b", beat(number+2))
		time.Sleep(20 * time.Millisecond)
		if !s.isBlocked("b") {
			t.Fatal("a heartbeat unblocked it")
		}
	}
}

func TestAMemberThatNeverSentAHeartbeatNeverExpires(t *testing.T) {
	t.Parallel()
	s := startCluster(t,
		cluster.WithHeartbeatExpiration(100*time.Millisecond), gossipEvery(20*time.Millisecond),
	).stopAfterwards()
	s.MemberList.UpdateClusterTopology(memory.Records("a", "b", "c", "d"))
	s.hear("c", map[string]*cluster.GossipKeyValue{"k": entry(1, wrapperspb.String("never beats"))})
	s.hear("d", beat(1))
	s.waitUntilBlocked("d")
	time.Sleep(time.Second)
	// Neither the member without any entry, nor the one with an entry but no heartbeat.
	if s.isBlocked("b") || s.isBlocked("c") {
		t.Fatal("a member without a heartbeat was blocked")
	}
}

func TestLeavingHasOneTickAtMostToSpread(t *testing.T) {
	t.Parallel()
	s := startCluster(t,
		gossipEvery(50*time.Millisecond), func(config *cluster.Config) { config.GossipFanOut = 1 },
	)
	s.MemberList.UpdateClusterTopology(memory.Records("a", "b", "c", "d", "e"))
	for end := time.Now().Add(memory.Bound); s.sent() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the member must gossip")
		}
	}
	// Takes more than two seconds, which is more than forty ticks of the gossip loop.
	s.Shutdown(true)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	told := map[string]bool{}
	for _, letter := range s.letters {
		if letter.Request.State.Members["a"].GetValues()[cluster.GracefullyLeftKey] != nil {
			told[letter.To] = true
		}
	}
	t.Logf("%d of four members were informed", len(told))
	if len(told) > 1 {
		t.Fatalf("more members than the fan-out of one tick were informed: %v", told)
	}
}

func TestAgesCompareWallClocks(t *testing.T) {
	t.Parallel()
	s := startCluster(t,
		cluster.WithHeartbeatExpiration(time.Minute), gossipEvery(20*time.Millisecond),
	).stopAfterwards()
	s.MemberList.UpdateClusterTopology(memory.Records("a", "b"))
	s.hear("b", beat(1))
	time.Sleep(200 * time.Millisecond)
	if s.isBlocked("b") {
		t.Fatal("it must not be blocked right after its heartbeat")
	}
	held, err := s.Gossip.GetState(cluster.HeartbeatKey)
	if err != nil {
		t.Fatal(err)
	}
	// As after a step of the wall clock by an hour: the age is computed from this stamp of the wall clock alone.
	hour := time.Hour.Milliseconds()
	atomic.AddInt64(&held["b"].LocalTimestampUnixMilliseconds, -hour)
	s.waitUntilBlocked("b")
}

// A provider without members; the test sets them.
type stillProvider struct{}

func (stillProvider) StartMember(*cluster.Cluster) error { return nil }
func (stillProvider) StartClient(*cluster.Cluster) error { return nil }
func (stillProvider) Shutdown(bool) error                { return nil }

// There are no virtual actors.
type noLookup struct{}

func (noLookup) Get(*cluster.ClusterIdentity) *actor.PID        { return nil }
func (noLookup) RemovePid(*cluster.ClusterIdentity, *actor.PID) {}
func (noLookup) Setup(*cluster.Cluster, []string, bool)         {}
func (noLookup) Shutdown()                                      {}
