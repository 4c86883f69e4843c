package engine

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/urn"

	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// watcher follows one operation of the engine: it keeps the CLI's output in a log, shows the
// progress of the operation, and records the engine's complaints.
type watcher struct {
	log  *os.File
	step *progress.Step
	also func(apitype.EngineEvent) // nil if no other function needs the events

	ended chan struct{}
	done  sync.WaitGroup

	mu       sync.Mutex
	changes  map[string]int // resources by what was done with them, in the engine's last summary
	busy     []string       // names of the resources being worked on
	finished int
	errors   []string
}

func watch(path string, step *progress.Step, also func(apitype.EngineEvent)) (*watcher, error) {
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &watcher{log: log, step: step, also: also, ended: make(chan struct{})}, nil
}

// events returns a channel for the events of one run of the engine, until end is called.
func (w *watcher) events() chan<- events.EngineEvent {
	channel := make(chan events.EngineEvent)
	w.done.Go(func() {
		for {
			select {
			case event, open := <-channel:
				if !open {
					return
				}
				w.see(event)
			case <-w.ended:
				return
			}
		}
	})
	return channel
}

// end must be called once, after the operation. The Automation API closes the channel of events
// only if the CLI got as far as sending one.
func (w *watcher) end() {
	close(w.ended)
	w.done.Wait()
}

func (w *watcher) see(event events.EngineEvent) {
	if w.also != nil {
		w.also(event.EngineEvent)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case event.SummaryEvent != nil:
		w.changes = map[string]int{}
		for op, n := range event.SummaryEvent.ResourceChanges {
			w.changes[string(op)] = n
		}
		return
	case event.ResourcePreEvent != nil:
		if m := event.ResourcePreEvent.Metadata; m.Op != apitype.OpSame {
			w.busy = append(w.busy, nameOf(m.URN))
		}
	case event.ResOutputsEvent != nil:
		name := nameOf(event.ResOutputsEvent.Metadata.URN)
		if i := slices.Index(w.busy, name); i >= 0 {
			w.busy = slices.Delete(w.busy, i, i+1)
		}
		w.finished++
	case event.DiagnosticEvent != nil:
		if event.DiagnosticEvent.Severity == "error" {
			w.errors = append(w.errors, message(event.DiagnosticEvent))
		}
		return
	default:
		return
	}
	detail := fmt.Sprintf("%d resources", w.finished)
	if len(w.busy) > 0 {
		detail += ", " + strings.Join(w.busy[:min(len(w.busy), 3)], ", ")
		if more := len(w.busy) - 3; more > 0 {
			detail += fmt.Sprintf(" and %d more", more)
		}
	}
	w.step.Update(detail)
}

func nameOf(text string) string {
	u, err := urn.Parse(text)
	if err != nil {
		return text
	}
	return u.Name()
}

// programFailed matches the text that the Go SDK puts before the error of a program.
var programFailed = regexp.MustCompile(`(?s)^.*an unhandled error occurred: program failed:\s*`)

func message(d *apitype.DiagnosticEvent) string {
	text := strings.TrimSpace(colors.Never.Colorize(d.Message))
	text = programFailed.ReplaceAllString(text, "")
	if d.URN == "" {
		return text
	}
	if name := nameOf(d.URN); !strings.Contains(text, name) {
		return name + ": " + text
	}
	return text
}

// Failure is an operation that the engine did not finish.
type Failure struct {
	// Project and Verb name the operation, such as gridos-infra and up.
	Project, Verb string
	// Messages are the engine's error messages.
	Messages []string
	// Log is the file with everything that the CLI said.
	Log string

	quoted string // the end of the log, once the log is gone
	cause  error
}

// QuoteLog takes the end of the log into the message, because the log is about to be removed.
func (f *Failure) QuoteLog() error {
	end, err := site.EndOfLog(f.Log)
	if err != nil {
		return err
	}
	f.quoted = end
	return nil
}

// Error lists the engine's messages and names the log, or quotes it.
func (f *Failure) Error() string {
	lines := []string{fmt.Sprintf("%s: %s failed", f.Project, f.Verb)}
	for _, m := range f.Messages {
		lines = append(lines, "  "+strings.ReplaceAll(m, "\n", "\n  "))
	}
	if f.Verb == downOperation().verb {
		lines = append(lines, "  docs/recovery.md says what to do if an Application is not deleted, and if the cluster is gone")
	}
	if f.quoted != "" {
		said := strings.Join(lines, "\n")
		lines = append(lines, "  the end of what the engine said:")
		for _, line := range strings.Split(f.quoted, "\n") {
			if text := strings.TrimSpace(line); text != "" && !strings.Contains(said, text) {
				lines = append(lines, "    "+line)
			}
		}
		return strings.Join(lines, "\n")
	}
	return strings.Join(append(lines, "  everything that the engine said: "+f.Log), "\n")
}

// Unwrap returns what the Automation API reported.
func (f *Failure) Unwrap() error { return f.cause }

// failure turns what the Automation API reported into a Failure that a person can read.
func (w *watcher) failure(project, verb string, err error) error {
	if err == nil {
		return nil
	}
	messages := slices.Compact(w.errors)
	if len(messages) == 0 {
		messages = []string{lastLine(w.log.Name(), err)}
	}
	return &Failure{Project: project, Verb: verb, Messages: messages, Log: w.log.Name(), cause: err}
}

// lastLine returns the last line of the log, for a CLI that failed before its engine wrote
// anything, or else err.
func lastLine(path string, err error) string {
	text, readErr := os.ReadFile(path)
	if readErr != nil {
		return errors.Join(err, readErr).Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return last
	}
	return err.Error()
}
