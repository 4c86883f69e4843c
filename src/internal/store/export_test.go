package store

import (
	"context"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
)

// MigrateWith migrates as another version of the service would.
func (s *Store) MigrateWith(ctx context.Context, files fs.FS) error { return s.migrate(ctx, files) }

// Migrations are those of this version.
var Migrations = migrations

// Execute runs a statement as the service's role.
func (s *Store) Execute(ctx context.Context, statement string, arguments ...any) error {
	_, err := s.pool.Exec(ctx, statement, arguments...)
	return err
}

// Query is the text of the rows that a query returns.
func (s *Store) Query(ctx context.Context, query string, arguments ...any) (text []string, err error) {
	rows, err := s.pool.Query(ctx, query, arguments...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return nil, err
		}
		text = append(text, line)
	}
	return text, rows.Err()
}

// SelectLatest is the query of Latest.
const SelectLatest = selectLatest

// WhileReading runs work while a transaction reads all of the history.
func (s *Store) WhileReading(ctx context.Context, work func() error) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT count(*) FROM telemetry`); err != nil {
			return err
		}
		return work()
	})
}

// WhileWriting runs work while a transaction has moved all points to a time, which counts after
// work.
func (s *Store) WhileWriting(ctx context.Context, at time.Time, work func() error) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE latest SET at = $1, value = 1`, at); err != nil {
			return err
		}
		return work()
	})
}
