package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"golang.org/x/sync/errgroup"

	"github.com/gridos/sharedinfra/src/internal/pgtest"
	"github.com/gridos/sharedinfra/src/internal/settings"
)

const (
	replicas      = 5
	rounds        = 3
	roundDuration = 7 * time.Second
	startEvery    = time.Second // from one replica to the next, so that the start of each falls into the measurement
	readyWithin   = 15 * time.Second
	batchesPerSec = 60
	// worstRatio is how many times as long ingest may take beside a long read and a deletion that
	// waits for it.
	worstRatio = 2
)

// besideAReader measures the ingest of five replicas that start one after the other: once without
// other load, and once while one transaction reads the history for the whole round, and a day is
// due to be dropped, which each replica tries after its start.
func besideAReader(ctx context.Context, output io.Writer, path string, server *pgtest.Server, database settings.Database) error {
	var alone, beside []time.Duration
	for range rounds {
		p99, err := ingestWhileStarting(ctx, path, database)
		if err != nil {
			return fmt.Errorf("ingest alone: %w", err)
		}
		alone = append(alone, p99)
		finish, err := longRead(ctx, server, database)
		if err != nil {
			return err
		}
		p99, err = ingestWhileStarting(ctx, path, database)
		if err = errors.Join(err, finish()); err != nil {
			return fmt.Errorf("ingest beside a long read: %w", err)
		}
		beside = append(beside, p99)
	}
	slices.Sort(alone)
	slices.Sort(beside)
	ratio := float64(beside[rounds/2]) / float64(alone[rounds/2])
	fmt.Fprintf(output, "\nIngest while %d replicas start, %d batches of %d samples a second for %v, p99 of %d rounds:\n"+
		"  alone %v\n  beside a transaction that reads all, with a day due to be dropped %v\n"+
		"  the medians' ratio %.2f, all replicas ready\n",
		replicas, batchesPerSec, batchSize, roundDuration, rounds, rounded(alone), rounded(beside), ratio)
	if ratio > worstRatio {
		return fmt.Errorf("ingest beside a long read takes %.2f times as long as alone; it may take %d times as long", ratio, worstRatio)
	}
	return nil
}

func rounded(durations []time.Duration) (all []time.Duration) {
	for _, d := range durations {
		all = append(all, d.Round(100*time.Microsecond))
	}
	return all
}

const dueDay = "telemetry_20200101"

// longRead makes a day that is due to be dropped and begins to read the history. Finish ends the
// reading; its error also says if the day was dropped during the measurement, which makes it
// worthless.
func longRead(ctx context.Context, server *pgtest.Server, database settings.Database) (finish func() error, err error) {
	if err := server.ExecuteIn(ctx, database.Name, `SET ROLE `+database.User,
		fmt.Sprintf(`CREATE TABLE %s (LIKE telemetry INCLUDING ALL)`, dueDay),
		fmt.Sprintf(`ALTER TABLE telemetry ATTACH PARTITION %s FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')`, dueDay),
	); err != nil {
		return nil, err
	}
	end, err := server.Reading(ctx, database.Name, "telemetry")
	if err != nil {
		return nil, err
	}
	return func() error {
		err := server.ExecuteIn(ctx, database.Name, `SELECT FROM `+dueDay)
		return errors.Join(err, end(), server.ExecuteIn(ctx, database.Name, `DROP TABLE IF EXISTS `+dueDay))
	}, nil
}

// ingestWhileStarting returns the longest time of 99 of 100 batches. Each goes to the next of the
// replicas that are ready.
func ingestWhileStarting(ctx context.Context, path string, database settings.Database) (p99 time.Duration, err error) {
	var all []*service
	defer func() {
		for _, s := range all {
			err = errors.Join(err, s.Stop())
		}
	}()
	begin := func() (*service, error) {
		ctx, cancel := context.WithTimeout(ctx, readyWithin)
		defer cancel()
		s, err := start(ctx, path, database)
		if err == nil {
			all = append(all, s)
		}
		return s, err
	}
	first, err := begin()
	if err != nil {
		return 0, err
	}
	var ready atomic.Pointer[[]*service]
	ready.Store(&[]*service{first})
	var group errgroup.Group
	group.Go(func() error {
		ticker := time.NewTicker(startEvery)
		defer ticker.Stop()
		for range replicas - 1 {
			<-ticker.C
			if _, err := begin(); err != nil {
				return err
			}
			now := slices.Clone(all)
			ready.Store(&now)
		}
		return nil
	})
	var batches atomic.Int64
	target := func(target *vegeta.Target) error {
		n := int(batches.Add(1))
		to := *ready.Load()
		*target = vegeta.Target{
			Method: http.MethodPost, URL: to[n%len(to)].URL + "/api/v1/telemetry",
			Header: http.Header{"Content-Type": {"application/json"}}, Body: samples(n*batchSize, batchSize, time.Now()),
		}
		return nil
	}
	metrics, err := attack(ctx, target, vegeta.Rate{Freq: batchesPerSec, Per: time.Second}, roundDuration)
	if err = errors.Join(err, group.Wait()); err != nil {
		return 0, err
	}
	for _, s := range all {
		if _, err := s.Send(ctx, http.MethodGet, "/readyz", nil); err != nil {
			return 0, err
		}
	}
	return metrics.Latencies.P99, nil
}
