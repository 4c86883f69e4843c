// Package progress shows what the lab is doing during long steps.
//
// On a terminal every running step has one live line with a spinner, its elapsed time and its
// latest detail. Anywhere else (a CI log, a pipe, TERM=dumb) the same steps are plain lines: one
// when a step starts, a heartbeat while it runs, one when it ends. So a log always shows what the
// lab is waiting for.
package progress

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	pretty "github.com/jedib0t/go-pretty/v6/progress"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

const (
	// heartbeat is how often a plain log repeats a step that still runs. CI systems that kill a silent
	// job wait for minutes, so half a minute is safe without flooding the log.
	heartbeat = 30 * time.Second
	// frame is how often live lines are redrawn.
	frame = 120 * time.Millisecond
)

// Display shows the steps of one command. Its zero value is not usable; make one with New. All
// methods may be called from several goroutines.
type Display struct {
	w      io.Writer
	live   bool
	colour bool
	every  time.Duration // heartbeat of plain displays

	mu       sync.Mutex
	running  map[*Step]struct{}
	renderer *renderer // draws the live lines; nil while no step runs, so that others may write to the terminal
	stopped  bool
}

// Step is one running step. It ends with Done or Fail; later calls are ignored, so a deferred Fail
// after a Done does no harm.
type Step struct {
	d       *Display
	name    string
	started time.Time

	// d.mu guards all fields below.
	detail  string
	ended   bool
	tracker *pretty.Tracker // the live line, nil on a plain display
	beat    *time.Timer     // the heartbeat, nil on a live display
}

// New returns a display that writes to w, usually os.Stderr so that results on standard output stay
// clean. It draws live lines if w is a terminal, and plain lines otherwise, or if TERM is "dumb",
// or if CI is set (some CI systems offer a terminal, but keep its output as a log). NO_COLOR
// (https://no-color.org) switches colours off.
func New(w io.Writer) *Display {
	live := false
	if f, ok := w.(*os.File); ok {
		live = term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" && os.Getenv("CI") == ""
	}
	return newDisplay(w, live, heartbeat)
}

func newDisplay(w io.Writer, live bool, every time.Duration) *Display {
	return &Display{
		w:       w,
		live:    live,
		colour:  live && os.Getenv("NO_COLOR") == "",
		every:   every,
		running: map[*Step]struct{}{},
	}
}

// Start begins a step and shows it. Steps may run at the same time.
func (d *Display) Start(name string) *Step {
	d.mu.Lock()
	defer d.mu.Unlock()

	s := &Step{d: d, name: oneLine(name), started: time.Now()}
	if d.stopped {
		s.ended = true
		return s
	}
	d.running[s] = struct{}{}
	if !d.live {
		d.writeLocked(s.name + " …")
		s.beat = time.AfterFunc(d.every, s.heartbeat)
		return s
	}
	if d.renderer == nil {
		d.renderer = startRenderer(d.w)
	}
	s.tracker = &pretty.Tracker{Message: s.liveLine()}
	d.renderer.writer.AppendTracker(s.tracker)
	return s
}

// Printf writes a line above the live area, or just a line. It adds the line break.
func (d *Display) Printf(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()

	line := fmt.Sprintf(format, args...)
	if d.renderer != nil {
		d.renderer.writer.Log("%s", line)
		return
	}
	d.writeLocked(line)
}

// Stop ends the display: steps that still run are shown as interrupted, and the last lines are on w
// when it returns. It may be called more than once. A stopped display ignores new steps, but Printf
// still writes.
func (d *Display) Stop() {
	d.mu.Lock()
	defer d.mu.Unlock()

	if d.stopped {
		return
	}
	d.stopped = true
	for s := range d.running {
		s.endLocked("✗", text.FgRed, "interrupted")
	}
}

// Update replaces the detail shown beside the step's name, such as "compiling" or "12 resources".
// On a plain display it appears with the next heartbeat.
func (s *Step) Update(detail string) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()

	if s.ended {
		return
	}
	s.detail = oneLine(detail)
	if s.tracker != nil {
		s.tracker.UpdateMessage(s.liveLine())
	}
}

// Lines returns a writer for the plain display of another command: its latest line is the step's
// detail.
func (s *Step) Lines() io.Writer { return &lines{step: s} }

type lines struct {
	step  *Step
	begun []byte // a line that has not ended yet
}

func (l *lines) Write(text []byte) (int, error) {
	l.begun = append(l.begun, text...)
	if end := bytes.LastIndexByte(l.begun, '\n'); end >= 0 {
		latest := bytes.LastIndexByte(l.begun[:end], '\n') + 1
		l.step.Update(string(l.begun[latest:end]))
		l.begun = l.begun[end+1:]
	}
	return len(text), nil
}

// Done ends the step as a success. The detail sums it up ("12 resources") and may be empty.
func (s *Step) Done(detail string) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()

	s.endLocked("✓", text.FgGreen, oneLine(detail))
}

// Fail ends the step as a failure. Only the first line of the error is shown, because the command
// prints the returned error in full.
func (s *Step) Fail(err error) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()

	first, _, _ := strings.Cut(err.Error(), "\n")
	s.endLocked("✗", text.FgRed, oneLine(first))
}

// endLocked shows the step's last line. The renderer ends with the last live step, so that an idle
// display leaves the terminal to other writers, and its caller can be sure that the line is on the
// screen.
func (s *Step) endLocked(mark string, colour text.Color, detail string) {
	if s.ended {
		return
	}
	s.ended = true
	d := s.d
	delete(d.running, s)

	if !d.live {
		s.beat.Stop()
		outcome := "done"
		if mark == "✗" {
			outcome = "failed"
		}
		took := time.Since(s.started).Round(100 * time.Millisecond)
		d.writeLocked(fmt.Sprintf("%s: %s (%s)", s.name, join(outcome, detail), took))
		return
	}
	if d.colour {
		mark = text.Colors{colour}.Sprint(mark)
	}
	s.tracker.UpdateMessage(" " + mark + " " + join(s.name, detail))
	s.tracker.MarkAsDone()
	if len(d.running) == 0 {
		d.renderer.stop()
		d.renderer = nil
	}
}

// heartbeat repeats a running step in a plain log and starts its timer again.
func (s *Step) heartbeat() {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()

	if s.ended {
		return
	}
	s.d.writeLocked(fmt.Sprintf("%s … %s", s.name, join(time.Since(s.started).Round(time.Second).String(), s.detail)))
	s.beat.Reset(s.d.every)
}

func (s *Step) liveLine() string {
	if s.d.colour && s.detail != "" {
		return join(s.name, text.Colors{text.Faint}.Sprint(s.detail))
	}
	return join(s.name, s.detail)
}

// writeLocked writes one plain line. A failed write cannot be reported, because messages go to the
// display itself. A closed standard error must not end the work.
func (d *Display) writeLocked(line string) {
	_, _ = fmt.Fprintln(d.w, line)
}

// oneLine keeps the output of other programs from breaking the one-line-per-step layout.
func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}

func join(name, detail string) string {
	if detail == "" {
		return name
	}
	return name + "  " + detail
}

// renderer runs the library's drawing loop.
type renderer struct {
	writer pretty.Writer
	ended  chan struct{}
}

func startRenderer(w io.Writer) *renderer {
	style := pretty.StyleDefault
	style.Visibility = pretty.StyleVisibility{Time: true, Tracker: true}
	style.Options.DoneString = ""
	style.Options.Separator = " "
	style.Options.TimeInProgressPrecision = time.Second
	style.Options.TimeDonePrecision = 100 * time.Millisecond
	style.Renderer.TrackerIndeterminate = spinner

	r := &renderer{writer: pretty.NewWriter(), ended: make(chan struct{})}
	r.writer.SetOutputWriter(w)
	r.writer.SetStyle(style)
	r.writer.SetUpdateFrequency(frame)
	// The library asks standard output for its width, but the display may be on standard error.
	// Without a width, long lines wrap and the redrawing counts them wrongly.
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			r.writer.SetTerminalWidth(width)
		}
	}
	go func() {
		defer close(r.ended)
		r.writer.Render()
	}()
	return r
}

// stop ends the drawing loop after its last frame. The library forgets a Stop that comes before its
// loop has begun, so the request is repeated until the loop has ended.
func (r *renderer) stop() {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		r.writer.Stop()
		select {
		case <-r.ended:
			return
		case <-again.C:
		}
	}
}

// spinner draws the moving part of a live line. It follows the clock, so that all lines turn
// together.
func spinner(int) string {
	frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	return string(frames[time.Now().UnixMilli()/frame.Milliseconds()%int64(len(frames))])
}
