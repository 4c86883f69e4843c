package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gridos/sharedinfra/src/internal/telemetry"
)

// ErrKindChanged says that a point exists with another kind: its history would be in another unit.
var ErrKindChanged = errors.New("the kind of a point cannot be changed; give the new point another key")

// Define adds a substation and its points, or changes their names and limits. Points that it leaves
// out are kept.
func (s *Store) Define(ctx context.Context, substation telemetry.Substation) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// The row of the substation is locked first, so that two definitions of it take turns.
		_, err := tx.Exec(ctx, `INSERT INTO substations (id, name, region) VALUES ($1, $2, $3)
			ON CONFLICT (id) DO UPDATE SET name = excluded.name, region = excluded.region`,
			substation.ID, substation.Name, substation.Region)
		if err != nil {
			return err
		}
		var batch pgx.Batch
		for i, p := range substation.Points {
			batch.Queue(`WITH defined AS (
				INSERT INTO points (substation_id, key, position, name, kind, low, high, hysteresis, normal)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
				ON CONFLICT (substation_id, key) DO UPDATE SET position = excluded.position, name = excluded.name,
					low = excluded.low, high = excluded.high, hysteresis = excluded.hysteresis, normal = excluded.normal
					WHERE points.kind = excluded.kind
				RETURNING id), row AS (INSERT INTO latest (point_id) SELECT id FROM defined ON CONFLICT DO NOTHING)
				SELECT id FROM defined`,
				substation.ID, p.Key, i, p.Name, string(p.Kind), p.Low, p.High, p.Hysteresis, p.Normal,
			).QueryRow(func(row pgx.Row) error {
				var id int32
				err := row.Scan(&id)
				if errors.Is(err, pgx.ErrNoRows) {
					return fmt.Errorf("point %s: %w", p.Key, ErrKindChanged)
				}
				return err
			})
		}
		return tx.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		return fmt.Errorf("substation %s cannot be defined: %w", substation.ID, err)
	}
	return nil
}
