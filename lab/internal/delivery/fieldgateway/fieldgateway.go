// Package fieldgateway sends telemetry to the application as the field gateway of a real substation
// does: from outside, through the same gateways as every request, with a sender's token. What it
// sends is the demo of the service, a small grid that does not exist.
package fieldgateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/host/atomicfile"
	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

// Options say what is sent where.
type Options struct {
	// Dir has the token and the log. It is created with mode 0700.
	Dir string
	// Program is the service's binary, which has the demo.
	Program string
	// URL is the address to which users send their requests.
	URL string
	// Token returns what a sender shows at present, or "" if there is none yet.
	Token func() (string, error)
	// Silent reports whether nothing is to be sent at present; nil is never.
	Silent func() bool
}

const (
	// interval is how often the token is looked at, and how long a demo that ended stays down: it ends
	// when the service does not answer its first requests.
	interval = 2 * time.Second
	// history is how far back the values begin. The dashboard shows an hour, unless it is asked for
	// more.
	history = time.Hour
)

// Run sends telemetry until ctx is done.
func Run(ctx context.Context, options Options) (err error) {
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return err
	}
	tokens := filepath.Join(options.Dir, "token")
	demo := &process.Process{
		Name: "the field gateway", Path: options.Program, Log: filepath.Join(options.Dir, "demo.log"),
		Args: []string{"demo", "-url", options.URL, "-token-file", tokens, "-history", history.String()},
	}
	defer func() { err = errors.Join(err, demo.Stop()) }()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var ended chan error // nil while no demo runs
	for shown := ""; ; {
		token, err := options.Token()
		if err != nil {
			return fmt.Errorf("the token of the field gateway: %w", err)
		}
		if token != "" && token != shown {
			if err := atomicfile.Write(tokens, []byte(token)); err != nil {
				return err
			}
			shown = token
		}
		silent := options.Silent != nil && options.Silent()
		if silent && ended != nil {
			if err := demo.Stop(); err != nil {
				return err
			}
			ended = nil
		}
		if ended == nil && shown != "" && !silent && ctx.Err() == nil {
			if err := demo.Start(ctx); err != nil {
				return err
			}
			ended = make(chan error, 1)
			go demo.Watch(ended)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			select {
			case <-ended:
				ended = nil
			default:
			}
		}
	}
}
