-- +goose Up

CREATE TABLE substations (
  id     text PRIMARY KEY,
  name   text NOT NULL,
  region text NOT NULL
);

CREATE TABLE points (
  id            integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  substation_id text NOT NULL REFERENCES substations,
  key           text NOT NULL,
  position      smallint NOT NULL,
  name          text NOT NULL,
  -- No CHECK: a newer version may add kinds while this one still runs.
  kind          text NOT NULL,
  low           double precision,
  high          double precision,
  hysteresis    double precision NOT NULL,
  normal        double precision,
  UNIQUE (substation_id, key)
);

-- One row for each point, made with the point: what the dashboard reads costs the same however long the history is, and
-- ingest locks the rows of its points here. Half-empty pages and no index on what changes let PostgreSQL update in place.
CREATE TABLE latest (
  point_id    integer PRIMARY KEY REFERENCES points,
  at          timestamptz,
  value       double precision,
  alarm       text NOT NULL DEFAULT 'normal',
  alarm_since timestamptz
) WITH (fillfactor = 50);

-- The key makes ingest idempotent. It includes the value, so that the trend of one point is read from neighbouring index
-- pages (a day of one among 300 points: 2 ms instead of 10); in the table its rows lie scattered between those of others. No foreign key: points are never deleted,
-- and a check for each sample would double the cost of ingest. The days are partitions, which the service adds and drops.
CREATE TABLE telemetry (
  point_id integer NOT NULL,
  at       timestamptz NOT NULL,
  value    double precision NOT NULL,
  PRIMARY KEY (point_id, at) INCLUDE (value)
) PARTITION BY RANGE (at);
