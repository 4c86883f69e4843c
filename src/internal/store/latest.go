package store

import (
	"context"
	"fmt"
	"time"

	"github.com/gridos/sharedinfra/src/internal/alarm"
	"github.com/gridos/sharedinfra/src/internal/telemetry"
)

// Latest is a substation with the newest value of each of its points.
type Latest struct {
	ID     string
	Name   string
	Region string
	Points []LatestPoint
}

// LatestPoint is a point with its newest value.
type LatestPoint struct {
	telemetry.Point
	// At and Value are nil until the first sample has arrived.
	At    *time.Time
	Value *float64
	Alarm alarm.State
	// AlarmSince is when the alarm state changed last, nil when it never has.
	AlarmSince *time.Time
}

const selectLatest = `
	SELECT s.id, s.name, s.region, p.key, p.name, p.kind, p.low, p.high, p.hysteresis, p.normal,
		l.at, l.value, l.alarm, l.alarm_since
	FROM substations s
	JOIN points p ON p.substation_id = s.id
	JOIN latest l ON l.point_id = p.id
	ORDER BY s.name, s.id, p.position, p.id`

// Latest are all substations by name, with their points in the order of their definition. It costs
// a row for each point and does not depend on the length of the history.
func (s *Store) Latest(ctx context.Context) ([]Latest, error) {
	rows, err := s.pool.Query(ctx, selectLatest)
	if err != nil {
		return nil, fmt.Errorf("the latest values cannot be read: %w", err)
	}
	defer rows.Close()
	all := []Latest{}
	for rows.Next() {
		var station Latest
		var p LatestPoint
		if err := rows.Scan(&station.ID, &station.Name, &station.Region, &p.Key, &p.Name, &p.Kind, &p.Low, &p.High, &p.Hysteresis,
			&p.Normal, &p.At, &p.Value, &p.Alarm, &p.AlarmSince); err != nil {
			return nil, fmt.Errorf("the latest values cannot be read: %w", err)
		}
		if len(all) == 0 || all[len(all)-1].ID != station.ID {
			all = append(all, station)
		}
		last := &all[len(all)-1]
		last.Points = append(last.Points, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("the latest values cannot be read: %w", err)
	}
	return all, nil
}
