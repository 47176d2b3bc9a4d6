// Package departures shows behavior of protoactor-go from which Hearsay departs on purpose. Each test has a counterpart
// with its name in tests/protoactor/departures_test.ts. A failure means that protoactor-go has changed, and that Hearsay
// may no longer depart from it.
package departures

import (
	"context"
	"fmt"
	"testing"
	"time"

	"interop/memory"

	"github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func start(t *testing.T, settings memory.Settings, ids ...string) map[string]*memory.Member {
	members := map[string]*memory.Member{}
	for _, id := range ids {
		members[id] = memory.Start(id, settings)
		members[id].Learn(ids...)
		t.Cleanup(members[id].Stop)
	}
	return members
}

// Lets a member gossip once, and returns its letter to another.
func letter(from *memory.Member, to string) *memory.Letter {
	for _, each := range from.Send() {
		if each.To == to {
			return each
		}
	}
	return nil
}

func TestALostRequestIsNeverSentAgain(t *testing.T) {
	members := start(t, memory.Settings{RequestTimeout: 20 * time.Millisecond}, "a", "b")
	a, b := members["a"], members["b"]
	a.Set("k", wrapperspb.String("first"))
	if lost := letter(a, "b"); lost.Request.State.Members["a"].Values["k"] == nil {
		t.Fatal("the first request must have the key")
	}
	// The request has failed by then.
	time.Sleep(200 * time.Millisecond)
	for range 10 {
		next := letter(a, "b")
		b.Deliver(next, a)
		if len(next.Request.State.Members) > 0 {
			t.Fatalf("the lost key was sent again: %v", next.Request)
		}
	}
	a.Set("other", wrapperspb.String("second"))
	b.Deliver(letter(a, "b"), a)
	if b.Get("other")["a"] == nil || b.Get("k")["a"] != nil {
		t.Fatal("the later key must be there, and the lost key must not")
	}
}

func TestARequestIsSentThoughThereIsNothingToTell(t *testing.T) {
	members := start(t, memory.Settings{}, "a", "b")
	a, b := members["a"], members["b"]
	b.Deliver(letter(a, "b"), a)
	for range 3 {
		idle := letter(a, "b")
		if idle == nil || len(idle.Request.State.Members) != 0 {
			t.Fatalf("an empty request must be sent; got %v", idle)
		}
		b.Deliver(idle, a)
	}
}

func TestOneMemberMoreThanTheMostIsSent(t *testing.T) {
	ids := []string{"a", "b", "c", "d", "e", "f"}
	members := start(t, memory.Settings{MaxSend: 3}, ids...)
	a := members["a"]
	// State of all members: a member without values counts for the limit before it is left out.
	for _, id := range ids[1:] {
		a.Deliver(letter(members[id], "a"), members[id])
	}
	if sent := len(letter(a, "b").Request.State.Members); sent != 3+1 {
		t.Fatalf("%d members were sent", sent)
	}
}

func TestTheStateOfADepartedMemberIsKeptAndPassedOn(t *testing.T) {
	members := start(t, memory.Settings{}, "a", "b", "c")
	a, c := members["a"], members["c"]
	c.Set("k", wrapperspb.String("here"))
	a.Deliver(letter(c, "a"), c)
	a.Learn("a", "b")
	if !a.Cluster.GetBlockedMembers().Contains("c") {
		t.Fatal("the departed member must be blocked")
	}
	for range 100 {
		a.Send()
	}
	a.Learn("a", "b", "d")
	if a.Get("k")["c"] == nil || letter(a, "d").Request.State.Members["c"].Values["k"] == nil {
		t.Fatal("the departed member's state must be there, and be sent to the new member")
	}
}

func TestAConsensusCheckNeverSucceeds(t *testing.T) {
	members := start(t, memory.Settings{}, "a", "b")
	a, b := members["a"], members["b"]
	same := func(value *anypb.Any) interface{} {
		text := &wrapperspb.StringValue{}
		if err := value.UnmarshalTo(text); err != nil {
			t.Error(err)
		}
		return uint64(len(text.Value))
	}
	handle, check := cluster.NewConsensusCheckBuilder(a.System.Logger(), "k", same).Build()
	add := cluster.NewAddConsensusCheck(handle.GetID(), check)
	a.Tell(&add)
	a.Set("k", wrapperspb.String("same"))
	b.Set("k", wrapperspb.String("same"))
	a.Deliver(letter(b, "a"), b)
	if held := a.Get("k"); len(held) != 2 {
		t.Fatalf("both members must have an entry: %v", held)
	}
	if value, reached := handle.TryGetConsensus(context.Background()); reached {
		t.Fatalf("consensus was reached: %v", value)
	}
}

func TestWhatThePinnedVersionIsCalled(t *testing.T) {
	// Names that hearsay.v1 spells as earlier versions of protoactor-go did.
	request := (&cluster.GossipRequest{}).ProtoReflect().Descriptor()
	name := request.Fields().ByNumber(2).JSONName()
	if got := fmt.Sprint(name, " ", cluster.HeartbeatKey); got != "fromMemberId heartbeat" {
		t.Fatal(got)
	}
}
