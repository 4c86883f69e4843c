// Package chaos kills processes that bring an environment up, plan it or take it down, at moments
// that a seed decides. It checks that one command makes the environment whole again.
package chaos

import (
	"fmt"
	"math/rand/v2"
)

// Verb is the command of the lab that is killed.
type Verb string

// The verbs.
const (
	Up      Verb = "up"
	Preview Verb = "preview"
	Down    Verb = "down"
	// recovery is the command that is killed too, in some rounds.
	recovery Verb = "recover"
)

// Victim is the process that is killed.
type Victim string

// The victims.
const (
	// Engine is the Pulumi CLI.
	Engine Victim = "engine"
	// Program is the process that runs the projects' programs, which is the lab's command itself.
	Program Victim = "program"
	// Provider is the plugin of Kubernetes.
	Provider Victim = "provider"
	// Azure is the background process that serves the simulated Azure; the control plane ends with
	// it.
	Azure Victim = "azure"
	// Controller is the controller manager of Kubernetes.
	Controller Victim = "controller"
)

// Verbs returns all verbs, in the order in which tables show them.
func Verbs() []Verb { return []Verb{Up, Preview, Down} }

// Victims returns all victims.
func Victims() []Victim { return []Victim{Engine, Program, Provider, Azure, Controller} }

// Plan is the plan of a round. It depends only on the seed and the number of the round.
type Plan struct {
	// Round is its number, from 1.
	Round int `json:"round"`
	// Verb is the command, and Victim the process of it that is killed.
	Verb   Verb   `json:"verb"`
	Victim Victim `json:"victim"`
	// Moment is the time of the kill, as a part of the time that the command takes undisturbed.
	Moment float64 `json:"moment"`
	// FromNothing takes the environment down first, so that an up makes everything.
	FromNothing bool `json:"fromNothing,omitempty"`
	// Changes says that the command finds the configuration of two projects changed.
	Changes bool `json:"changes,omitempty"`
	// Again is the time at which the engine of the recovery is killed too, as a part of the
	// recovery's time when there is nothing to recover; 0 means never.
	Again float64 `json:"again,omitempty"`
}

// String describes the plan in a line.
func (p Plan) String() string {
	from := ""
	if p.FromNothing {
		from = ", from nothing"
	}
	again := ""
	if p.Again > 0 {
		again = ", and the engine of the recovery"
	}
	return fmt.Sprintf("round %d: %s, %s killed at %.0f %%%s%s", p.Round, p.Verb, p.Victim, 100*p.Moment, from, again)
}

// Draw returns the plan of a round.
func Draw(seed uint64, round int) Plan {
	random := rand.New(rand.NewPCG(seed, uint64(round))) //nolint:gosec // it is to be replayed, not to be secret
	p := Plan{Round: round, Moment: random.Float64()}
	p.Verb = weighted(random, map[Verb]int{Up: 50, Preview: 15, Down: 35}, Verbs())
	// A kill that ends the whole control plane costs a long restart, so it is rare.
	p.Victim = weighted(random, map[Victim]int{Engine: 35, Program: 30, Provider: 20, Azure: 8, Controller: 7}, Victims())
	p.FromNothing = p.Verb == Up && random.IntN(2) == 0
	p.Changes = p.Verb != Down && !p.FromNothing
	if random.IntN(4) == 0 {
		p.Again = random.Float64()
	}
	return p
}

// weighted draws one of all by its weight.
func weighted[T comparable](random *rand.Rand, weights map[T]int, all []T) T {
	total := 0
	for _, w := range weights {
		total += w
	}
	left := random.IntN(total)
	for _, one := range all {
		if left -= weights[one]; left < 0 {
			return one
		}
	}
	return all[len(all)-1]
}
