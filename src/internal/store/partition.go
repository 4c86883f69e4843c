package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	day           = 24 * time.Hour
	partitionName = "telemetry_20060102"
	// One replica at a time adds days, and one drops them. The two locks differ, so that adding
	// never waits for a deletion.
	addLockID  = 0x67726964_6f73
	dropLockID = 0x67726964_6f74
)

// querier is the pool, or one connection of it.
type querier interface {
	Query(ctx context.Context, query string, arguments ...any) (pgx.Rows, error)
}

// partition is the table of one day.
type partition struct {
	name string
	from time.Time
	// attached says that it belongs to telemetry, detaching that it does so only until its last
	// reader has ended.
	attached, detaching bool
}

// AddDays adds the partitions of the days from first to last that are missing. Replicas may do it
// at the same time.
func (s *Store) AddDays(ctx context.Context, first, last time.Time) error {
	existing, err := s.partitions(ctx, s.pool)
	if err != nil {
		return err
	}
	var wrong []error
	for _, from := range missingDays(existing, first, last) {
		name := from.Format(partitionName)
		if err := s.addDay(ctx, name, from); err != nil {
			wrong = append(wrong, fmt.Errorf("the partition %s cannot be added: %w", name, err))
		}
	}
	return errors.Join(wrong...)
}

// missingDays are the days from first to last for which no partition is attached.
func missingDays(existing []partition, first, last time.Time) (missing []time.Time) {
	attached := make(map[time.Time]bool, len(existing))
	for _, p := range existing {
		attached[p.from] = p.attached
	}
	last = last.UTC().Truncate(day)
	for from := first.UTC().Truncate(day); !from.After(last); from = from.Add(day) {
		if !attached[from] {
			missing = append(missing, from)
		}
	}
	return missing
}

// addDay adds one partition, unless another replica was first.
func (s *Store) addDay(ctx context.Context, name string, from time.Time) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(addLockID)); err != nil {
			return err
		}
		var attached bool
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass($1))`, name).Scan(&attached)
		if err != nil || attached {
			return err
		}
		for _, statement := range []string{
			`SET LOCAL lock_timeout = '1s'`,
			// LIKE and ATTACH take a lock under which reads and writes go on; CREATE … PARTITION OF
			// would block them. The table already exists if its deletion was interrupted and
			// TELEMETRY_RETENTION is longer now.
			fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s (LIKE telemetry INCLUDING ALL)`, name),
			fmt.Sprintf(`ALTER TABLE telemetry ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')`,
				name, from.Format(time.RFC3339), from.Add(day).Format(time.RFC3339)),
		} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

// DropDays drops the partitions of the days that end before the time given. One replica does so at
// a time; the others do nothing. No read and no write waits for it: DropDays first detaches the
// partition concurrently, which waits for the queries that use it and locks none out (PostgreSQL
// documentation, ALTER TABLE, DETACH PARTITION). DROP TABLE alone would lock all of telemetry. The
// error names the partition that a long query still holds; a later call drops it.
func (s *Store) DropDays(ctx context.Context, before time.Time) (err error) {
	connection, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("old partitions cannot be dropped: %w", err)
	}
	defer connection.Release()
	// The lock of a session, since a partition cannot be detached concurrently inside a
	// transaction.
	var mine bool
	if err := connection.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, int64(dropLockID)).Scan(&mine); err != nil {
		return fmt.Errorf("old partitions cannot be dropped: %w", err)
	}
	if !mine {
		return nil
	}
	defer func() { err = errors.Join(err, s.endDropping(ctx, connection)) }()
	if _, err := connection.Exec(ctx, `SET lock_timeout = '1s'`); err != nil {
		return fmt.Errorf("old partitions cannot be dropped: %w", err)
	}
	existing, err := s.partitions(ctx, connection)
	if err != nil {
		return err
	}
	before = before.UTC().Truncate(day)
	for _, p := range existing {
		if !p.from.Before(before) {
			continue
		}
		// In the order of the days, and no further than the first failure: only one partition of a
		// table can be detached at a time.
		if err := dropDay(ctx, connection, p); err != nil {
			return fmt.Errorf("the partition %s cannot be dropped: %w", p.name, err)
		}
	}
	return nil
}

func dropDay(ctx context.Context, connection *pgxpool.Conn, p partition) error {
	var statements []string
	switch {
	case p.detaching: // an earlier call has given up waiting
		statements = []string{fmt.Sprintf(`ALTER TABLE telemetry DETACH PARTITION %s FINALIZE`, p.name)}
	case p.attached:
		statements = []string{fmt.Sprintf(`ALTER TABLE telemetry DETACH PARTITION %s CONCURRENTLY`, p.name)}
	}
	for _, statement := range append(statements, `DROP TABLE `+p.name) {
		if _, err := connection.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// endDropping resets the connection and releases the lock. If that fails, it closes the connection,
// which also releases the lock.
func (s *Store) endDropping(ctx context.Context, connection *pgxpool.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, err := connection.Exec(ctx, `RESET lock_timeout`)
	if err == nil {
		_, err = connection.Exec(ctx, `SELECT pg_advisory_unlock($1)`, int64(dropLockID))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("the lock for dropping partitions: %w", err), connection.Conn().Close(ctx))
	}
	return nil
}

// partitions returns the tables of the days, the oldest first, including those whose deletion was
// interrupted. It records the oldest one.
func (s *Store) partitions(ctx context.Context, on querier) ([]partition, error) {
	rows, err := on.Query(ctx, `
SELECT c.relname, i.inhrelid IS NOT NULL, coalesce(i.inhdetachpending, false)
FROM pg_class parent
JOIN pg_class c ON c.relnamespace = parent.relnamespace AND c.relkind = 'r' AND c.relname ~ '^telemetry_[0-9]{8}$'
LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = parent.oid
WHERE parent.oid = 'telemetry'::regclass ORDER BY c.relname`)
	if err != nil {
		return nil, fmt.Errorf("the partitions cannot be listed: %w", err)
	}
	existing, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p partition, err error) {
		if err = row.Scan(&p.name, &p.attached, &p.detaching); err == nil {
			p.from, err = time.Parse(partitionName, p.name)
		}
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("the partitions cannot be listed: %w", err)
	}
	if len(existing) > 0 {
		s.oldest.Store(existing[0].from.Unix())
	}
	return existing, nil
}
