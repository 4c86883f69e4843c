// Package demo sends the telemetry of a small grid that does not exist to the service, through the
// API that field gateways use.
package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gridos/sharedinfra/src/internal/telemetry"
)

// Options say where to and how much.
type Options struct {
	// URL is the address of the service, such as http://127.0.0.1:8080.
	URL string
	// TokenFile holds the bearer token that the service asks for, if it does.
	TokenFile string
	// Interval is the time between two values of a point.
	Interval time.Duration
	// History is how far back the values begin, and HistoryStep the time between two of these.
	History, HistoryStep time.Duration
}

// Run defines the substations, sends their history and then their values, until ctx ends. When the
// service does not answer, the values that it has missed are sent later.
func Run(ctx context.Context, o Options, logger *slog.Logger) error {
	err := run(ctx, o, logger)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // a request that was cut short is how it ends
	}
	return err
}

func run(ctx context.Context, o Options, logger *slog.Logger) error {
	if o.Interval <= 0 || o.HistoryStep <= 0 || o.History < 0 {
		return fmt.Errorf("interval %v, history %v and step %v are not possible; use durations above zero",
			o.Interval, o.History, o.HistoryStep)
	}
	c := client{options: o, http: &http.Client{Timeout: 15 * time.Second}}
	for _, s := range stations {
		definition := s.definition()
		definition.ID = "" // it is in the address
		if err := c.send(ctx, http.MethodPut, "/api/v1/substations/"+s.id, definition); err != nil {
			return err
		}
	}
	sent := time.Now().Add(-o.History)
	from := sent
	for now := time.Now(); sent.Before(now); {
		until := sent.Add(60 * o.HistoryStep) // a batch of 9 stations times 8 points stays below the limit
		if until.After(now) {
			until = now
		}
		if err := c.samples(ctx, sent, until, o.HistoryStep); err != nil {
			return err
		}
		sent = until
	}
	logger.Info("sent the history", "from", from, "substations", len(stations))
	ticker := time.NewTicker(o.Interval)
	defer ticker.Stop()
	for {
		now := time.Now()
		// After a long pause it sends only the last minutes, which the page shows as a trend.
		sent = latest(sent, now.Add(-60*o.Interval))
		if err := c.samples(ctx, sent, now, o.Interval); err == nil {
			sent = now
		} else if ctx.Err() == nil {
			logger.Warn("the service did not take the samples; they are sent again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

type client struct {
	options Options
	http    *http.Client
}

// samples sends the values after from, until to, at multiples of step: a repeated sample has the
// same value.
func (c client) samples(ctx context.Context, from, to time.Time, step time.Duration) error {
	var all []telemetry.Sample
	for t := from.Truncate(step).Add(step); !t.After(to); t = t.Add(step) {
		for _, s := range stations {
			for point, value := range s.at(t) {
				all = append(all, telemetry.Sample{Ref: telemetry.Ref{Substation: s.id, Point: point}, At: t.UTC(), Value: value})
			}
		}
	}
	for part := range slices.Chunk(all, telemetry.MaxSamples) {
		if err := c.send(ctx, http.MethodPost, "/api/v1/telemetry", map[string]any{"samples": part}); err != nil {
			return err
		}
	}
	return nil
}

func (c client) send(ctx context.Context, method, path string, body any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.options.URL, "/")+path, bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("%q is no address; use something like http://127.0.0.1:8080: %w", c.options.URL, err)
	}
	request.Header.Set("Content-Type", "application/json")
	if c.options.TokenFile != "" {
		token, err := os.ReadFile(c.options.TokenFile)
		if err != nil {
			return fmt.Errorf("the token cannot be read: %w", err)
		}
		request.Header.Set("Authorization", "Bearer "+string(bytes.TrimSpace(token)))
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, bytes.TrimSpace(answer))
	}
	return nil
}
