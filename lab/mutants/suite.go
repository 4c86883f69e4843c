package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A mutant without output for the time of its suite, times slowness, plus silence, counts as
// killed: it loops, or waits for ever. On a machine with other work the tests take several times as
// long as when they were traced.
const (
	silence  = 90 * time.Second
	slowness = 10
)

// suite is one test binary, or one of the two packages in it.
type suite struct {
	directory string // of the package, relative to the repository
	binary    string
	entry     string // the test that plays mutants
	golden    bool

	atStart map[int]bool
	tests   []traced
}

// traced is a test with the mutants that it asks about.
type traced struct {
	Test    string
	OK      bool
	Seconds float64
	Reached []int
}

// build compiles the test binaries of the directories with all mutants in them.
func build(ctx context.Context, root, scratch, overlay string, directories []string) ([]*suite, error) {
	bin := filepath.Join(scratch, "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		return nil, err
	}
	var suites []*suite
	for _, d := range directories {
		s := &suite{directory: d, binary: filepath.Join(bin, strings.ReplaceAll(d, string(filepath.Separator), "+")+".test")}
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", s.binary, "./"+d)
		cmd.Dir = root
		if output, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build the tests of %s with the mutants: %w\n%s", d, err, output)
		}
		byPackage, err := testsIn(filepath.Join(root, d))
		if err != nil {
			return nil, err
		}
		for name, tests := range byPackage {
			one := *s
			one.entry = "TestMutants_Play"
			if len(byPackage) == 2 {
				one.entry += map[bool]string{true: "ex", false: "in"}[strings.HasSuffix(name, "_test")]
			}
			one.golden = slices.Contains(tests, goldenTest)
			suites = append(suites, &one)
		}
	}
	return suites, nil
}

// play runs the suite's driver in a mode, and passes on its output line by line.
func (s *suite) play(ctx context.Context, directory, mode, plan, dump string, id int, see func(line []byte)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, err := os.CreateTemp(filepath.Dir(s.binary), "out")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd := exec.CommandContext(ctx, s.binary, "-test.run", "^"+s.entry+"$", "-test.timeout", "0")
	cmd.Dir = directory
	cmd.Env = append(os.Environ(), "MUTANTS_MODE="+mode, "MUTANTS_OUT="+out.Name(), "MUTANTS_PLAN="+plan, "MUTANTS_DUMP="+dump,
		fmt.Sprintf("MUTANT=%d", id))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var tail bytes.Buffer
	if mode == "trace" {
		cmd.Stdout, cmd.Stderr = &tail, &tail
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	lines := bufio.NewReader(out)
	var partial []byte
	read := func() bool {
		any := false
		for {
			text, err := lines.ReadBytes('\n')
			partial = append(partial, text...)
			if err != nil {
				return any
			}
			see(partial)
			partial, any = nil, true
		}
	}
	heard := time.Now()
	for {
		select {
		case err := <-ended:
			read()
			if err != nil && mode == "trace" {
				return fmt.Errorf("%s: %w\n%s", s.directory, err, tail.Bytes())
			}
			return err
		case <-time.After(50 * time.Millisecond):
			if read() {
				heard = time.Now()
			}
			patience := silence + time.Duration(slowness*s.seconds()*float64(time.Second))
			if time.Since(heard) > patience && mode != "trace" {
				cancel()
				<-ended
				read()
				return context.DeadlineExceeded
			}
		}
	}
}

// trace finds out which tests reach which mutants.
func (s *suite) trace(ctx context.Context, root string) error {
	s.atStart = map[int]bool{}
	var failed []string
	err := s.play(ctx, filepath.Join(root, s.directory), "trace", "", "", 0, func(line []byte) {
		var t traced
		if json.Unmarshal(line, &t) != nil {
			return
		}
		if t.Test == "" {
			for _, id := range t.Reached {
				s.atStart[id] = true
			}
			return
		}
		if !t.OK {
			failed = append(failed, t.Test)
			return
		}
		s.tests = append(s.tests, t)
	})
	if err == nil && len(failed) > 0 {
		err = fmt.Errorf("%s fails without a mutant: %s", s.directory, strings.Join(failed, ", "))
	}
	sort.SliceStable(s.tests, func(i, j int) bool { return s.tests[i].Seconds < s.tests[j].Seconds })
	return err
}

// planned is a mutant with the tests that could kill it.
type planned struct {
	ID    int
	Tests []string
}

// ofGoldenFiles reports whether a test compares with files that -update rewrites: the name of each
// such test says so.
func ofGoldenFiles(test string) bool { return strings.Contains(test, "GoldenFile") }

// against returns the wanted tests of the suite that reach the mutant, the fast ones first.
func (s *suite) against(id int, wanted func(test string) bool) []string {
	var tests []string
	for _, t := range s.tests {
		if wanted(t.Test) && (s.atStart[id] || slices.Contains(t.Reached, id)) {
			tests = append(tests, t.Test)
		}
	}
	return tests
}

func (s *suite) registers(id int) bool {
	if !s.golden {
		return false
	}
	return s.atStart[id] || slices.ContainsFunc(s.tests, func(t traced) bool {
		return t.Test == goldenTest && slices.Contains(t.Reached, id)
	})
}

// kill plays the mutants of a plan, and reports the test that killed each, or "". If a process ends
// or falls silent during a mutant, that mutant counts as killed.
func (s *suite) kill(ctx context.Context, root string, plan []planned, report func(id int, by string)) error {
	for len(plan) > 0 {
		// A question that is asked before the first test, in the value of a variable, is decided at
		// the start of the process.
		batch, id := plan, 0
		if s.atStart[plan[0].ID] {
			batch, id = plan[:1], plan[0].ID
		} else if i := slices.IndexFunc(plan, func(p planned) bool { return s.atStart[p.ID] }); i > 0 {
			batch = plan[:i]
		}
		done, err := s.batch(ctx, filepath.Join(root, s.directory), "kill", "", id, batch, report)
		if err != nil {
			return err
		}
		plan = plan[done:]
	}
	return nil
}

// batch plays mutants in one process, and returns the number of decided ones.
func (s *suite) batch(
	ctx context.Context, directory, mode, dump string, id int, batch []planned, report func(id int, by string),
) (int, error) {
	file, err := os.CreateTemp(filepath.Dir(s.binary), "plan")
	if err != nil {
		return 0, err
	}
	defer os.Remove(file.Name())
	text, err := json.Marshal(batch)
	if err != nil {
		return 0, err
	}
	if _, err := file.Write(text); err != nil {
		return 0, err
	}
	if err := file.Close(); err != nil {
		return 0, err
	}
	done, begun := 0, false
	failure := s.play(ctx, directory, mode, file.Name(), dump, id, func(line []byte) {
		var said struct {
			Begin, End int
			Test       string
			OK         *bool
		}
		if json.Unmarshal(line, &said) != nil {
			return
		}
		begun = said.Begin != 0
		if said.End != 0 {
			if said.OK != nil && !*said.OK {
				said.Test = goldenTest
			}
			report(said.End, said.Test)
			done++
		}
	})
	if ctx.Err() != nil {
		return done, ctx.Err()
	}
	if failure == nil || done == len(batch) {
		return len(batch), nil
	}
	if !begun && id == 0 {
		return done, fmt.Errorf("%s ended before its first mutant: %w", s.directory, failure)
	}
	by := "the process, which it ends"
	if errors.Is(failure, context.DeadlineExceeded) {
		by = "the time, for it does not end"
	}
	report(batch[done].ID, by)
	return done + 1, nil
}

// parallel processes the parts with the given number of workers, and returns the first error.
func parallel[T any](ctx context.Context, workers int, parts []T, work func(ctx context.Context, part T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan T)
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for part := range queue {
				if err := work(ctx, part); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	for _, part := range parts {
		select {
		case queue <- part:
		case <-ctx.Done():
		}
	}
	close(queue)
	wait.Wait()
	return context.Cause(ctx)
}
