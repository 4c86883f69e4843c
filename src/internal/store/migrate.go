package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// migrationTimeout is how long a statement of a migration may take. It is well below the
// progressDeadlineSeconds of the Rollout, after which a canary that is not ready is aborted and its
// pods end: a longer statement could never be released.
const migrationTimeout = 5 * time.Minute

// The rule for migrations is in docs/service.md: they only expand the schema, because during a
// canary the previous version works on the same tables.
//
//go:embed migrations/*.sql
var migrations embed.FS

// Migrate updates the schema to the needs of this version. Replicas that start together take turns
// by a lock in the database. Migrate does not change a schema that a newer version has already
// expanded.
func (s *Store) Migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("the embedded migrations: %w", err)
	}
	return s.migrate(ctx, files)
}

func (s *Store) migrate(ctx context.Context, files fs.FS) (err error) {
	// A connection of its own, with the same credentials: a migration may take longer than a request
	// may, but it must not queue for a table lock for long, as all requests to that table would queue
	// behind it.
	config := s.pool.Config()
	config.ConnConfig.RuntimeParams["statement_timeout"] = strconv.FormatInt(migrationTimeout.Milliseconds(), 10)
	config.ConnConfig.RuntimeParams["lock_timeout"] = "3s"
	database := stdlib.OpenDB(*config.ConnConfig, stdlib.OptionBeforeConnect(config.BeforeConnect))
	defer func() { err = errors.Join(err, database.Close()) }()

	// A try every second, for longer than a migration may take.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, uint64((migrationTimeout + time.Minute).Seconds())))
	if err != nil {
		return fmt.Errorf("the lock for migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, database, files,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return fmt.Errorf("the embedded migrations cannot be read: %w", err)
	}
	applied, err := provider.Up(ctx)
	for _, migration := range applied {
		if migration.Error == nil {
			s.logger.Info("migrated the database", "migration", migration.Source.Path, "duration", migration.Duration)
		}
	}
	if err != nil {
		return fmt.Errorf("the database cannot be migrated; the service tries again: %w", err)
	}
	return nil
}

// Prepared fails unless the schema is at least as new as this version needs, and each day from
// first to last has its partition. It changes nothing.
func (s *Store) Prepared(ctx context.Context, first, last time.Time) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return fmt.Errorf("the embedded migrations: %w", err)
	}
	var needed, applied int64
	for _, file := range files {
		version, err := goose.NumericComponent(path.Base(file))
		if err != nil {
			return fmt.Errorf("the embedded migrations: %w", err)
		}
		needed = max(needed, version)
	}
	err = s.pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&applied)
	if err != nil {
		return fmt.Errorf("the version of the schema cannot be read: %w", err)
	}
	if applied < needed {
		return fmt.Errorf("the schema has version %d, and this program needs %d; run gridos migrate", applied, needed)
	}
	existing, err := s.partitions(ctx, s.pool)
	if err != nil {
		return err
	}
	if missing := missingDays(existing, first, last); len(missing) > 0 {
		return fmt.Errorf("there is no partition for %s; run gridos migrate", missing[0].Format(time.DateOnly))
	}
	return nil
}
