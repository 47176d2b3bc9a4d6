package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"

	"interop/memory"

	"github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/types/known/anypb"
)

// Steps of some members, one after another.
type history struct {
	Name    string   `json:"name"`
	Members []string `json:"members"`
	Steps   []step   `json:"steps"`
}

type step struct {
	// Exactly one of these is set.
	Set     *setStep     `json:"set"`
	Send    string       `json:"send"`
	Deliver *deliverStep `json:"deliver"`
}

type setStep struct {
	Member string          `json:"member"`
	Key    string          `json:"key"`
	Any    json.RawMessage `json:"any"`
}

// One member receives the letter of a send; sends are counted from 0.
type deliverStep struct {
	Send int    `json:"send"`
	To   string `json:"to"`
}

// The result of a history.
type outcome struct {
	Name string `json:"name"`
	// The changes of each delivery, sorted.
	Updates [][]update `json:"updates"`
	// By the member with the state, the owner, and the key.
	States map[string]map[string]map[string]held `json:"states"`
}

type update struct {
	Member string `json:"member"`
	Key    string `json:"key"`
	Number int64  `json:"number"`
}

type held struct {
	Number int64           `json:"number"`
	Any    json.RawMessage `json:"any"`
}

func replay(input io.Reader) (any, error) {
	var histories []history
	if err := json.NewDecoder(input).Decode(&histories); err != nil {
		return nil, err
	}
	outcomes := []outcome{}
	for _, each := range histories {
		came, err := each.replay()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", each.Name, err)
		}
		outcomes = append(outcomes, came)
	}
	return outcomes, nil
}

func (h history) replay() (outcome, error) {
	result := outcome{Name: h.Name, Updates: [][]update{}}
	members := map[string]*memory.Member{}
	for _, id := range h.Members {
		members[id] = memory.Start(id, memory.Settings{})
		members[id].Learn(h.Members...)
		defer members[id].Stop()
	}
	sends := []map[string]*memory.Letter{}
	keys := map[string]bool{cluster.TopologyKey: true}
	for _, step := range h.Steps {
		switch {
		case step.Set != nil:
			value := &anypb.Any{}
			if err := fromJSON(step.Set.Any, value); err != nil {
				return result, err
			}
			message, err := value.UnmarshalNew()
			if err != nil {
				return result, err
			}
			keys[step.Set.Key] = true
			members[step.Set.Member].Set(step.Set.Key, message)
		case step.Send != "":
			letters := map[string]*memory.Letter{}
			for _, letter := range members[step.Send].Send() {
				letters[letter.To] = letter
			}
			sends = append(sends, letters)
		case step.Deliver != nil:
			letter := sends[step.Deliver.Send][step.Deliver.To]
			if letter == nil {
				return result, fmt.Errorf("send %d had nothing for %s", step.Deliver.Send, step.Deliver.To)
			}
			updates := members[letter.To].Deliver(letter, members[letter.From])
			result.Updates = append(result.Updates, sorted(updates))
		}
	}
	result.States = statesOf(members, keys)
	return result, nil
}

func sorted(updates []*cluster.GossipUpdate) []update {
	made := []update{}
	for _, each := range updates {
		made = append(made, update{each.MemberID, each.Key, each.SeqNumber})
	}
	sort.Slice(made, func(i, j int) bool {
		if made[i].Member != made[j].Member {
			return made[i].Member < made[j].Member
		}
		return made[i].Number < made[j].Number
	})
	return made
}

func statesOf(members map[string]*memory.Member, keys map[string]bool) map[string]map[string]map[string]held {
	states := map[string]map[string]map[string]held{}
	for holder, member := range members {
		states[holder] = map[string]map[string]held{}
		for key := range keys {
			for id, entry := range member.Get(key) {
				if states[holder][id] == nil {
					states[holder][id] = map[string]held{}
				}
				states[holder][id][key] = held{entry.SequenceNumber, toJSON(entry.Value)}
			}
		}
	}
	return states
}
