// Command bench shows what one core of the service can do with a real database, next to pgbench
// doing the same statements on the same database of the same machine, and that a long read of the
// history does not stop ingest. It takes about two minutes: go run ./bench
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/gridos/sharedinfra/src/internal/pgtest"
	"github.com/gridos/sharedinfra/src/internal/program"
	"github.com/gridos/sharedinfra/src/internal/settings"
)

const (
	substations = 50
	points      = 6 // of each
	clients     = 8
	batchSize   = 100
	history     = time.Hour
	historyStep = 10 * time.Second
	warmUp      = time.Second
	duration    = 6 * time.Second
	deadline    = 4 * time.Minute
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, deadline)
	err := run(ctx, os.Stdout)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// measurement is a rate, and the longest wait of 99 of 100 requests.
type measurement struct {
	perSecond float64
	p99       time.Duration
}

func run(ctx context.Context, output io.Writer) (err error) {
	scratch, err := os.MkdirTemp("", "gridos-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	server, err := pgtest.New(ctx, "-c", "shared_buffers=512MB", "-c", "max_wal_size=4GB")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Remove()) }()
	database, err := server.Database(ctx)
	if err != nil {
		return err
	}
	path, err := program.Build(ctx, scratch)
	if err != nil {
		return err
	}
	if err := besidePgbench(ctx, output, scratch, path, server, database); err != nil {
		return err
	}
	return besideAReader(ctx, output, path, server, database)
}

// besidePgbench fills the database, and measures each of the cases with the service and with
// pgbench.
func besidePgbench(
	ctx context.Context, output io.Writer, scratch, path string, server *pgtest.Server, database settings.Database,
) (err error) {
	s, err := start(ctx, path, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := s.fill(ctx); err != nil {
		return err
	}
	if err := server.ExecuteIn(ctx, database.Name, `VACUUM (ANALYZE)`); err != nil {
		return err
	}

	fmt.Fprintf(output, "%d substations with %d points each, %d samples of history; %d clients, %v for each line; "+
		"%d cores, of which the service has %s\n\n",
		substations, points, substations*points*int(history/historyStep), clients, duration, runtime.NumCPU(), s.pinned)
	table := tabwriter.NewWriter(output, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tservice req/s\tp99 ms\tpgbench tx/s\tp99 ms\tservice / pgbench\t")
	for _, c := range cases {
		mine, err := s.measure(ctx, c.target(s))
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		theirs, err := pgbench(ctx, scratch, database, c.script)
		if err != nil {
			return fmt.Errorf("pgbench of %s: %w", c.name, err)
		}
		fmt.Fprintf(table, "%s\t%.0f\t%.1f\t%.0f\t%.1f\t%.2f\t\n", c.name, mine.perSecond, milliseconds(mine.p99),
			theirs.perSecond, milliseconds(theirs.p99), mine.perSecond/theirs.perSecond)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(output, "\nThe service answers in JSON over HTTP; pgbench (-M prepared) sends the statements behind it "+
		"and drops the rows.\nIngest is %d samples for each request, so its samples per second are %d times as many.\n",
		batchSize, batchSize)
	return err
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// cases are the measured requests, each with the statements that answer it as a script for pgbench.
var cases = []struct {
	name   string
	target func(*service) vegeta.Targeter
	script string
}{
	{
		"latest values of all", func(s *service) vegeta.Targeter {
			return vegeta.NewStaticTargeter(vegeta.Target{Method: http.MethodGet, URL: s.URL + "/api/v1/substations"})
		}, `
SELECT s.id, s.name, s.region, p.key, p.name, p.kind, p.low, p.high, p.hysteresis, p.normal, l.at, l.value, l.alarm, l.alarm_since
FROM substations s JOIN points p ON p.substation_id = s.id JOIN latest l ON l.point_id = p.id ORDER BY s.name, s.id, p.position, p.id;
`,
	},
	{
		"trend of one point, 1 h", func(s *service) vegeta.Targeter {
			return func(target *vegeta.Target) error {
				n, p := rand.IntN(substations), rand.IntN(points) //nolint:gosec // no secret
				*target = vegeta.Target{
					Method: http.MethodGet,
					URL:    fmt.Sprintf("%s/api/v1/substations/s%d/points/p%d/series?window=1h&buckets=300", s.URL, n, p),
				}
				return nil
			}
		}, fmt.Sprintf(`
\set substation random(0, %d)
\set point random(0, %d)
SELECT key, name, kind, low, high, hysteresis, normal FROM points WHERE substation_id = 's' || :substation AND key = 'p' || :point;
SELECT date_bin('12 s', at, 'epoch') AS bucket, min(value), avg(value), max(value), count(*) FROM telemetry
WHERE point_id = (SELECT id FROM points WHERE substation_id = 's' || :substation AND key = 'p' || :point)
AND at >= now() - interval '1 h' AND at < now() GROUP BY bucket ORDER BY bucket;
`, substations-1, points-1),
	},
	{
		fmt.Sprintf("ingest of %d samples", batchSize), func(s *service) vegeta.Targeter {
			return func(target *vegeta.Target) error {
				n := int(s.batches.Add(1))
				*target = vegeta.Target{
					Method: http.MethodPost, URL: s.URL + "/api/v1/telemetry", Header: http.Header{"Content-Type": {"application/json"}},
					Body: samples(n*batchSize, batchSize, time.Now()),
				}
				return nil
			}
		}, fmt.Sprintf(`
\set first random(0, 2) * %d
BEGIN;
SELECT p.id FROM points p JOIN latest l ON l.point_id = p.id WHERE p.id > :first AND p.id <= :first + %d ORDER BY p.id FOR UPDATE OF l;
INSERT INTO telemetry SELECT :first + n, clock_timestamp(), 110 + n * 0.01 FROM generate_series(1, %d) n ON CONFLICT DO NOTHING;
UPDATE latest l SET at = clock_timestamp(), value = 110 + n * 0.01, alarm = 'normal', alarm_since = NULL
FROM generate_series(1, %d) n WHERE l.point_id = :first + n;
END;
`, batchSize, batchSize, batchSize, batchSize),
	},
}

// samples is a batch of count samples of the points from first on, going around, all at one time.
func samples(first, count int, at time.Time) []byte {
	var body bytes.Buffer
	stamp := at.UTC().Format(time.RFC3339Nano)
	body.WriteString(`{"samples":[`)
	for i := range count {
		if i > 0 {
			body.WriteByte(',')
		}
		n := (first + i) % (substations * points)
		value := 105 + rand.Float64()*10 //nolint:gosec // no secret
		fmt.Fprintf(&body, `{"substation":"s%d","point":"p%d","at":%q,"value":%.2f}`, n/points, n%points, stamp, value)
	}
	body.WriteString(`]}`)
	return body.Bytes()
}

// service is the program under test, in a process of its own.
type service struct {
	*program.Replica
	pinned  string
	batches atomic.Int64
}

// start starts the program on one core, and returns when it is ready.
func start(ctx context.Context, path string, database settings.Database) (*service, error) {
	arguments, pinned := []string{path}, "one by GOMAXPROCS=1"
	if taskset, err := exec.LookPath("taskset"); err == nil {
		arguments, pinned = []string{taskset, "-c", "0", path}, "one (GOMAXPROCS=1, pinned)"
	}
	replica, err := program.Start(ctx, arguments, append(program.Environment(database), "GOMAXPROCS=1", "RATE_LIMIT=0"))
	if err != nil {
		return nil, err
	}
	return &service{Replica: replica, pinned: pinned}, nil
}

// fill defines the substations and sends their history.
func (s *service) fill(ctx context.Context) error {
	for n := range substations {
		var list []string
		for p := range points {
			list = append(list, fmt.Sprintf(`{"key":"p%d","name":"Busbar %d","kind":"voltage","low":104,"high":116,"hysteresis":1}`, p, p))
		}
		body := fmt.Sprintf(`{"name":"Substation %02d","region":"Bench","points":[%s]}`, n, strings.Join(list, ","))
		if _, err := s.Send(ctx, http.MethodPut, fmt.Sprintf("/api/v1/substations/s%d", n), []byte(body)); err != nil {
			return err
		}
	}
	now := time.Now()
	for at := now.Add(-history); at.Before(now); at = at.Add(historyStep) {
		if _, err := s.Send(ctx, http.MethodPost, "/api/v1/telemetry", samples(0, substations*points, at)); err != nil {
			return err
		}
	}
	return nil
}

// attack sends requests from all clients, at a rate or, when that is zero, as fast as they are
// answered. All must succeed.
func attack(ctx context.Context, target vegeta.Targeter, rate vegeta.Rate, length time.Duration) (*vegeta.Metrics, error) {
	attacker := vegeta.NewAttacker(vegeta.Workers(clients), vegeta.MaxWorkers(clients), vegeta.KeepAlive(true))
	var metrics vegeta.Metrics
	for result := range attacker.Attack(target, rate, length, "bench") {
		metrics.Add(result)
		if ctx.Err() != nil {
			attacker.Stop()
		}
	}
	metrics.Close()
	if metrics.Success < 1 {
		return nil, fmt.Errorf("not all requests succeeded: %v %v", metrics.StatusCodes, metrics.Errors)
	}
	return &metrics, ctx.Err()
}

// measure sends requests as fast as they are answered.
func (s *service) measure(ctx context.Context, target vegeta.Targeter) (measurement, error) {
	if _, err := attack(ctx, target, vegeta.Rate{}, warmUp); err != nil {
		return measurement{}, err
	}
	metrics, err := attack(ctx, target, vegeta.Rate{}, duration)
	if err != nil {
		return measurement{}, err
	}
	return measurement{metrics.Throughput, metrics.Latencies.P99}, nil
}

var tps = regexp.MustCompile(`tps = ([0-9.]+)`)

// pgbench runs a script with as many clients for as long.
func pgbench(ctx context.Context, scratch string, database settings.Database, script string) (measurement, error) {
	binary, err := pgtest.Binary("pgbench")
	if err != nil {
		return measurement{}, err
	}
	folder, err := os.MkdirTemp(scratch, "pgbench-")
	if err != nil {
		return measurement{}, err
	}
	file := filepath.Join(folder, "script.sql")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		return measurement{}, err
	}
	command := exec.CommandContext(ctx, binary, "-n", "-M", "prepared", "-c", strconv.Itoa(clients), "-j", "1",
		"-T", strconv.Itoa(int(duration.Seconds())), "--log", "-f", file,
		"-h", database.Host, "-p", strconv.Itoa(int(database.Port)), "-U", database.User, database.Name)
	command.Dir, command.Env = folder, append(os.Environ(), "PGPASSWORD="+database.Password)
	output, err := command.CombinedOutput()
	if err != nil {
		return measurement{}, fmt.Errorf("%w: %s", err, output)
	}
	found := tps.FindSubmatch(output)
	if found == nil {
		return measurement{}, fmt.Errorf("no rate in: %s", output)
	}
	rate, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		return measurement{}, err
	}
	logs, err := filepath.Glob(filepath.Join(folder, "pgbench_log.*"))
	if err != nil {
		return measurement{}, err
	}
	var latencies []time.Duration
	for _, log := range logs {
		content, err := os.ReadFile(log)
		if err != nil {
			return measurement{}, err
		}
		for line := range strings.Lines(string(content)) {
			// client, number, microseconds, …
			if fields := strings.Fields(line); len(fields) > 2 {
				microseconds, err := strconv.ParseInt(fields[2], 10, 64)
				if err != nil {
					return measurement{}, fmt.Errorf("a line of pgbench's log: %w", err)
				}
				latencies = append(latencies, time.Duration(microseconds)*time.Microsecond)
			}
		}
	}
	if len(latencies) == 0 {
		return measurement{}, errors.New("pgbench has logged no transaction")
	}
	slices.Sort(latencies)
	return measurement{rate, latencies[len(latencies)*99/100]}, nil
}
