package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gridos/sharedinfra/src/internal/telemetry"
)

// ErrNoPoint says that a point does not exist.
var ErrNoPoint = errors.New("there is no such point")

// Bucket sums up the samples of a point from At on, for the width of the bucket. There is none
// where there was no sample.
type Bucket struct {
	At    time.Time `json:"at"`
	Min   float64   `json:"min"`
	Avg   float64   `json:"avg"`
	Max   float64   `json:"max"`
	Count int       `json:"count"`
}

const (
	selectPoint = `
		SELECT key, name, kind, low, high, hysteresis, normal FROM points WHERE substation_id = $1 AND key = $2`
	// Buckets begin at multiples of their width, so that a plot that follows the clock does not
	// tremble.
	selectSeries = `
		SELECT date_bin($5, at, 'epoch') AS bucket, min(value), avg(value), max(value), count(*)
		FROM telemetry
		WHERE point_id = (SELECT id FROM points WHERE substation_id = $1 AND key = $2) AND at >= $3 AND at < $4
		GROUP BY bucket
		ORDER BY bucket`
)

// Series returns a point and its samples from from until before to, summed up in buckets of width.
func (s *Store) Series(ctx context.Context, ref telemetry.Ref, from, to time.Time, width time.Duration,
) (point telemetry.Point, buckets []Bucket, err error) {
	var batch pgx.Batch // one round trip
	batch.Queue(selectPoint, ref.Substation, ref.Point).QueryRow(func(row pgx.Row) error {
		return row.Scan(&point.Key, &point.Name, &point.Kind, &point.Low, &point.High, &point.Hysteresis, &point.Normal)
	})
	batch.Queue(selectSeries, ref.Substation, ref.Point, from, to, width).Query(func(rows pgx.Rows) error {
		buckets, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Bucket])
		return err
	})
	err = s.pool.SendBatch(ctx, &batch).Close()
	if errors.Is(err, pgx.ErrNoRows) {
		return point, nil, fmt.Errorf("%s: %w", ref, ErrNoPoint)
	}
	if err != nil {
		return point, nil, fmt.Errorf("the history of %s cannot be read: %w", ref, err)
	}
	return point, buckets, nil
}
