package chaos

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/proofs/integrity"
	"github.com/gridos/sharedinfra/lab/proofs/labcli"
)

// hang is how long a command may take after one of its processes was killed: many times the usual
// time.
const hang = 3 * time.Minute

// patience is how long a person watches a command that has stopped making progress.
const patience = 10 * time.Second

// tries is how often a round is tried if its command ends before its moment.
const tries = 4

// Options say what to run.
type Options struct {
	// Lab is the environment, which nothing else may use; Run brings it up if it is down.
	Lab labcli.Lab
	// Rounds are the numbers of the rounds. Several runs may take them from the same channel, which
	// is closed after the last one.
	Rounds <-chan int
	// Seed decides the events of the rounds.
	Seed uint64
	// Display shows the progress.
	Display *progress.Display
}

// Result is the result of a round.
type Result struct {
	Plan
	// Behind are the earlier rounds in the same environment, in their order.
	Behind []int `json:"behind,omitempty"`
	// Project is the project that was being worked on at the kill, or empty between two projects.
	Project string `json:"project,omitempty"`
	// Interrupted says that the command kept waiting for the killed process, and was interrupted as
	// by Ctrl-C.
	Interrupted bool `json:"interrupted,omitempty"`
	// RecoveryKilled says that the recovery was killed too, and restarted.
	RecoveryKilled bool `json:"recoveryKilled,omitempty"`
	// After is the time from the start of the command to the kill. Recovery is how long the
	// recovery took, and Up how long the up after it took. All are in seconds.
	After    float64 `json:"afterSeconds"`
	Recovery float64 `json:"recoverySeconds"`
	Up       float64 `json:"upSeconds"`
	// Adopted is the number of resources that were in Azure and in no state.
	Adopted int `json:"adopted"`
	// Error is what failed, or empty.
	Error string `json:"error,omitempty"`
}

// runner plays rounds.
type runner struct {
	Options
	// played are the rounds so far.
	played []int
	// typical is how long a command takes, by its verb; fromNothing is how long an up from nothing
	// takes.
	typical     map[Verb]time.Duration
	fromNothing time.Duration
}

// Run plays the rounds one after the other, each in the environment that the one before it left.
// The error names the round that failed, and what failed. Run stops there: later rounds would start
// from a broken environment, and a person should look at this one first.
func Run(ctx context.Context, o Options) (results []Result, err error) {
	defer func() {
		if err != nil {
			for range o.Rounds { // drain the remaining rounds
			}
		}
	}()
	r := &runner{Options: o, typical: map[Verb]time.Duration{}}
	step := o.Display.Start("up, preview, down and up without a fault")
	if err := r.calibrate(ctx); err != nil {
		step.Fail(err)
		return nil, fmt.Errorf("before anything was killed: %w", err)
	}
	step.Done(fmt.Sprintf("up from nothing takes %.1f s", r.fromNothing.Seconds()))
	for n := range o.Rounds {
		plan := Draw(o.Seed, n)
		step := o.Display.Start(plan.String())
		result, err := r.play(ctx, plan)
		if err != nil {
			step.Fail(err)
			result.Error = err.Error()
		} else {
			besides := ""
			if result.Interrupted {
				besides += ", interrupted"
			}
			if result.RecoveryKilled {
				besides += ", killed again"
			}
			step.Done(fmt.Sprintf("in %s after %.1f s%s, recovered in %.1f s, up in %.1f s",
				cmp.Or(result.Project, "no project"), result.After, besides, result.Recovery, result.Up))
		}
		results = append(results, result)
		r.played = append(r.played, n)
		if err != nil {
			return results, fmt.Errorf("seed %d, %s: %w\n%s", o.Seed, plan, err, again(o.Seed, r.played))
		}
	}
	_, err = r.Lab.Run(ctx, "up", "--expect-no-changes")
	return results, err
}

// again says how to replay rounds in one environment, because the finding of a round can depend on
// the rounds before it.
func again(seed uint64, rounds []int) string {
	numbers := strings.Trim(strings.ReplaceAll(fmt.Sprint(rounds), " ", ","), "[]")
	return fmt.Sprintf("what it found was left by the rounds before it in the same environment; play them again with "+
		"`go run ./lab/proofs chaos --parallel 1 --seed %d --round %s`", seed, numbers)
}

// calibrate brings the environment up and measures how long the commands take if there is something
// to do.
func (r *runner) calibrate(ctx context.Context) error {
	if _, err := r.Lab.Run(ctx, "up"); err != nil {
		return err
	}
	if err := change(r.Lab.Site); err != nil {
		return err
	}
	for _, verb := range []Verb{Preview, Up, recovery, Down} {
		began := time.Now()
		if _, err := r.Lab.Run(ctx, r.arguments(verb)...); err != nil {
			return err
		}
		r.typical[verb] = time.Since(began)
	}
	began := time.Now()
	if _, err := r.Lab.Run(ctx, "up"); err != nil {
		return err
	}
	r.fromNothing = time.Since(began)
	return integrity.Check(ctx, r.Lab.Site, nil)
}

func (r *runner) arguments(verb Verb) []string {
	if verb == Down {
		return []string{string(verb), "--keep-running"}
	}
	return []string{string(verb)}
}

// play plays a round. Whatever the plan is, the environment must be up and whole afterwards.
func (r *runner) play(ctx context.Context, plan Plan) (Result, error) {
	result := Result{Plan: plan, Behind: slices.Clone(r.played)}
	var before *integrity.Secrets // the secrets that must be the same afterwards
	if plan.Verb != Down && !plan.FromNothing {
		var err error
		if before, err = integrity.Read(ctx, r.Lab.Site); err != nil {
			return result, err
		}
	}
	moment, typical := plan.Moment, r.typical[plan.Verb]
	if plan.FromNothing {
		typical = r.fromNothing
	}
	for try := 1; ; try++ {
		if plan.FromNothing {
			if _, err := r.Lab.Run(ctx, r.arguments(Down)...); err != nil {
				return result, err
			}
		}
		if plan.Changes {
			if err := change(r.Lab.Site); err != nil {
				return result, err
			}
		}
		s, err := r.strike(ctx, plan.Verb, plan.Victim, time.Duration(moment*float64(typical)))
		if err == nil {
			result.Project, result.After, result.Interrupted = s.project, s.after.Seconds(), s.interrupted
			break
		}
		if !errors.Is(err, errGone) || try == tries {
			return result, err
		}
		// The command was faster than usual, or has no such process so late: try an earlier moment.
		moment /= 2
		if plan.Verb == Down {
			if _, err := r.Lab.Run(ctx, "up"); err != nil {
				return result, err
			}
		}
	}
	if plan.Again > 0 {
		_, err := r.strike(ctx, recovery, Engine, time.Duration(plan.Again*float64(r.typical[recovery])))
		if err != nil && !errors.Is(err, errGone) {
			return result, err
		}
		result.RecoveryKilled = err == nil
	}
	began := time.Now()
	out, err := r.Lab.Run(ctx, string(recovery))
	if err != nil {
		return result, err
	}
	result.Recovery = time.Since(began).Seconds()
	result.Adopted = strings.Count("\n"+out, "\nadopted ")
	began = time.Now()
	if _, err := r.Lab.Run(ctx, "up"); err != nil {
		return result, err
	}
	result.Up = time.Since(began).Seconds()
	return result, integrity.Check(ctx, r.Lab.Site, before)
}

// struck is the state of a command at the kill.
type struck struct {
	project     string
	after       time.Duration
	interrupted bool
}

// strike runs a command, kills the victim at the moment, and waits for the command's end.
func (r *runner) strike(ctx context.Context, verb Verb, victim Victim, moment time.Duration) (s struck, err error) {
	limited, cancel := context.WithTimeout(ctx, hang)
	defer cancel()
	command := r.Lab.Command(limited, r.arguments(verb)...)
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	began := time.Now()
	if err := command.Start(); err != nil {
		return s, err
	}
	ended := make(chan struct{})
	var failure error // of the command; after the kill a failure is expected
	go func() {
		defer close(ended)
		failure = command.Wait()
	}()
	err = errGone
	select {
	case <-ended:
	case <-time.After(moment):
		s.project, err = kill(limited, r.Lab.Site, victim, command.Process.Pid, ended)
		s.after = time.Since(began)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		// The Kubernetes provider waits up to ten minutes for a cluster that is gone. A person
		// would press Ctrl-C.
		s.interrupted = true
		_ = command.Process.Signal(os.Interrupt) // it may have ended just now
		<-ended
	}
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case limited.Err() != nil:
		err = fmt.Errorf("%s hangs, whose %s was to be killed:\n%s", verb, victim, said.String())
	case errors.Is(err, errGone) && failure != nil:
		err = fmt.Errorf("%s failed before anything was killed: %w\n%s", verb, failure, said.String())
	}
	return s, err
}
