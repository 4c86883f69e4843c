package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	day            = 24 * time.Hour
	partitionName  = "telemetry_20060102"
	daysAhead      = 2 // a database that is away for two days, or a service, still finds the partition of today
	maintainLockID = 0x67726964_6f73
)

// Maintain adds the partitions from the oldest day that is kept to the day after tomorrow, and drops those whose last
// value is older than retention. Replicas may do it at the same time. What could not be done now, because a long query holds
// a table, is in the error and is done the next time.
func (s *Store) Maintain(ctx context.Context, now time.Time, retention time.Duration) error {
	existing, err := s.partitions(ctx)
	if err != nil {
		return err
	}
	var wrong []error
	now = now.UTC()
	oldest := now.Add(-retention).Truncate(day)
	for from := oldest; !from.After(now.Truncate(day).Add(daysAhead * day)); from = from.Add(day) {
		name := from.Format(partitionName)
		if existing[name] {
			continue
		}
		// LIKE and ATTACH take a lock that lets reads and writes go on; CREATE … PARTITION OF would not.
		wrong = append(wrong, s.alone(ctx, fmt.Sprintf("the partition %s cannot be added", name), name, false,
			fmt.Sprintf(`CREATE TABLE %s (LIKE telemetry INCLUDING ALL)`, name),
			fmt.Sprintf(`ALTER TABLE telemetry ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')`,
				name, from.Format(time.RFC3339), from.Add(day).Format(time.RFC3339))))
	}
	for name := range existing {
		from, err := time.Parse(partitionName, name)
		if err != nil || !from.Before(oldest) {
			continue
		}
		wrong = append(wrong, s.alone(ctx, fmt.Sprintf("the partition %s cannot be dropped", name), name, true, `DROP TABLE `+name))
	}
	return errors.Join(wrong...)
}

// partitions are the names of the days that exist.
func (s *Store) partitions(ctx context.Context) (map[string]bool, error) {
	rows, err := s.pool.Query(ctx, `SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'telemetry'::regclass`)
	if err != nil {
		return nil, fmt.Errorf("the partitions cannot be listed: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("the partitions cannot be listed: %w", err)
	}
	existing := make(map[string]bool, len(names))
	for _, name := range names {
		existing[name] = true
	}
	return existing, nil
}

// alone runs statements in one transaction while no other replica does so, if the table still exists or does not, as
// wanted. It waits for other transactions only for a moment, since every request to the table waits behind it.
func (s *Store) alone(ctx context.Context, failure, table string, exists bool, statements ...string) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(maintainLockID)); err != nil {
			return err
		}
		var found bool
		if err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, table).Scan(&found); err != nil || found != exists {
			return err // another replica was first
		}
		for _, statement := range append([]string{`SET LOCAL lock_timeout = '1s'`}, statements...) {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", failure, err)
	}
	return nil
}
