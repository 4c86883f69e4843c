// Command restore rehearses the return to a moment: a real PostgreSQL server with a base backup and
// archived WAL, and the service before it. It makes two writes through the API, loses the server
// with its files, restores a new one to the moment between the writes, and starts the service with
// it. The first write must be there, the second must not, and the service must take a third. It
// says how long each step took: go run ./restore
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/gridos/sharedinfra/src/internal/program"
)

// deadline is many times as long as a rehearsal takes.
const deadline = 4 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, deadline)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("restore", flag.ContinueOnError)
	flags.SetOutput(stderr)
	asJSON := flags.Bool("json", false, "print the report as JSON")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("restore takes no arguments but -json; it got %q", flags.Args())
	}
	scratch, err := os.MkdirTemp("", "gridos-restore-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	path, err := program.Build(ctx, scratch)
	if err != nil {
		return err
	}
	done, err := rehearse(ctx, path, scratch, between)
	if err != nil {
		done.Error = err.Error()
	}
	if *asJSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		return errors.Join(err, encoder.Encode(done))
	}
	return errors.Join(err, done.print(stdout))
}

// report is what a rehearsal has shown.
type report struct {
	// PostgreSQL is the version of both servers.
	PostgreSQL string `json:"postgresql"`
	// Moment is what the new server was restored to.
	Moment time.Time `json:"moment"`
	Steps  []step    `json:"steps"`
	// Away is how long users were without the service: from the loss of the server to the first
	// write that is taken again.
	Away  float64 `json:"awaySeconds"`
	Error string  `json:"error,omitempty"`
}

type step struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	// Seen is what the step has shown.
	Seen string `json:"seen"`
}

// do runs a step and keeps how long it took.
func (r *report) do(name string, work func() (seen string, err error)) error {
	began := time.Now()
	seen, err := work()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.Steps = append(r.Steps, step{name, time.Since(began).Seconds(), seen})
	return nil
}

func (r *report) print(output io.Writer) error {
	table := tabwriter.NewWriter(output, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "step\tseconds\tseen")
	for _, s := range r.Steps {
		fmt.Fprintf(table, "%s\t%7.2f\t%s\n", s.Name, s.Seconds, s.Seen)
	}
	if err := table.Flush(); err != nil || r.Error != "" {
		return err
	}
	_, err := fmt.Fprintf(output, "\nPostgreSQL %s, restored to %s: the first write is there, the second is not.\n"+
		"The service was away for %.1f s.\n", r.PostgreSQL, r.Moment.Format(time.RFC3339), r.Away)
	return err
}
