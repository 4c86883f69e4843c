package store_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gridos/sharedinfra/src/internal/alarm"
	"github.com/gridos/sharedinfra/src/internal/pgtest"
	"github.com/gridos/sharedinfra/src/internal/settings"
	"github.com/gridos/sharedinfra/src/internal/store"
	"github.com/gridos/sharedinfra/src/internal/telemetry"
)

const retention = 48 * time.Hour

var (
	shared pgtest.Shared
	quiet  = slog.New(slog.DiscardHandler)
	noon   = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	busbar = telemetry.Ref{Substation: "nord", Point: "u1"}
)

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

func open(t *testing.T, database settings.Database) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), database, nil, quiet)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// ready is a store with its tables and one substation.
func ready(t *testing.T) *store.Store {
	t.Helper()
	s := open(t, shared.Database(t))
	require.NoError(t, s.Migrate(t.Context()))
	maintain(t, s, noon)
	require.NoError(t, s.Define(t.Context(), nord()))
	return s
}

// maintain is what a replica does every hour.
func maintain(t *testing.T, s *store.Store, now time.Time) {
	t.Helper()
	require.NoError(t, s.AddDays(t.Context(), now.Add(-retention), now.Add(day(2))))
	require.NoError(t, s.DropDays(t.Context(), now.Add(-retention)))
}

func nord() telemetry.Substation {
	low, high, closed := 105.0, 120.0, 1.0
	return telemetry.Substation{ID: "nord", Name: "Nord", Region: "Coast", Points: []telemetry.Point{
		{Key: "u1", Name: "Busbar 1", Kind: "voltage", Low: &low, High: &high, Hysteresis: 2},
		{Key: "q1", Name: "Line 1", Kind: "breaker", Normal: &closed},
	}}
}

func sample(ref telemetry.Ref, at time.Time, value float64) telemetry.Sample {
	return telemetry.Sample{Ref: ref, At: at, Value: value}
}

func TestService_MigrationsRunOnceHoweverManyReplicasStart(t *testing.T) {
	t.Parallel()
	database := shared.Database(t)
	replicas := make([]*store.Store, 5)
	for i := range replicas {
		replicas[i] = open(t, database)
		require.NoError(t, replicas[i].Ping(t.Context())) // from here on they are equally fast
	}
	together := func(work func(*store.Store) error) {
		t.Helper()
		var group errgroup.Group
		for _, replica := range replicas {
			group.Go(func() error { return work(replica) })
		}
		require.NoError(t, group.Wait())
	}
	together(func(s *store.Store) error { return s.Migrate(t.Context()) })
	together(func(s *store.Store) error { return s.AddDays(t.Context(), noon.Add(-retention), noon.Add(day(2))) })
	s := replicas[0]
	require.NoError(t, s.Migrate(t.Context()), "a second time")
	applied, err := s.Query(t.Context(), `SELECT version_id::text FROM goose_db_version WHERE version_id > 0`)
	require.NoError(t, err)
	files, err := fs.Glob(store.Migrations, "migrations/*.sql")
	require.NoError(t, err)
	assert.Len(t, applied, len(files))
}

// A canary has migrated, and then a pod of the stable version restarts.
func TestService_AnOlderVersionStartsAndWorksOnANewerSchema(t *testing.T) {
	t.Parallel()
	s := ready(t)
	newer := fstest.MapFS{"00999_newer.sql": {Data: []byte("-- +goose Up\nALTER TABLE points ADD COLUMN colour text NOT NULL DEFAULT 'red';")}}
	files, err := fs.Sub(store.Migrations, "migrations")
	require.NoError(t, err)
	require.NoError(t, fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		newer[path] = &fstest.MapFile{Data: content}
		return err
	}))
	require.NoError(t, s.MigrateWith(t.Context(), newer))

	older := s
	require.NoError(t, older.Migrate(t.Context()))
	require.NoError(t, older.Define(t.Context(), nord()))
	stored, err := older.Ingest(t.Context(), []telemetry.Sample{sample(busbar, noon, 110)})
	require.NoError(t, err)
	assert.Equal(t, 1, stored)
}

// Migrations only expand: during a canary the previous version works on the same tables.
func TestUnit_MigrationsOnlyExpand(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(store.Migrations, "migrations/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		content, err := fs.ReadFile(store.Migrations, file)
		require.NoError(t, err)
		for number, line := range strings.Split(string(content), "\n") {
			statement, _, _ := strings.Cut(strings.ToUpper(line), "--")
			for _, forbidden := range []string{"DROP ", "RENAME ", "TRUNCATE", "SET NOT NULL", " TYPE ", "DELETE FROM"} {
				assert.NotContains(t, statement, forbidden, "%s:%d breaks the previous version; see docs/service.md", file, number+1)
			}
		}
	}
}

func TestService_ABatchMayBeRepeated(t *testing.T) {
	t.Parallel()
	s := ready(t)
	batch := []telemetry.Sample{
		sample(busbar, noon, 110), sample(busbar, noon.Add(time.Second), 111),
		sample(busbar, noon.Add(time.Second+300*time.Nanosecond), 999), // the same microsecond: the first counts
	}
	stored, err := s.Ingest(t.Context(), batch)
	require.NoError(t, err)
	assert.Equal(t, 2, stored)
	stored, err = s.Ingest(t.Context(), batch)
	require.NoError(t, err)
	assert.Zero(t, stored)

	all, err := s.Latest(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Len(t, all[0].Points, 2)
	assert.InDelta(t, 111, *all[0].Points[0].Value, 0)
	assert.Equal(t, noon.Add(time.Second), all[0].Points[0].At.UTC())
	assert.Nil(t, all[0].Points[1].Value, "nothing has been measured")
}

// Otherwise a sender that repeats its last batch would hide that nothing new comes.
func TestService_ARepeatedBatchIsNoNews(t *testing.T) {
	t.Parallel()
	database := shared.Database(t)
	first, second := open(t, database), open(t, database)
	require.NoError(t, first.Migrate(t.Context()))
	maintain(t, first, noon)
	require.NoError(t, first.Define(t.Context(), nord()))
	newest := func(s *store.Store) (values []float64) {
		registry := prometheus.NewPedanticRegistry()
		require.NoError(t, registry.Register(s))
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, family := range families {
			if family.GetName() == "gridos_samples_newest_timestamp_seconds" {
				values = append(values, family.GetMetric()[0].GetGauge().GetValue())
			}
		}
		return values
	}
	for _, replica := range []*store.Store{first, second} {
		_, err := replica.Ingest(t.Context(), []telemetry.Sample{sample(busbar, noon, 110)})
		require.NoError(t, err)
	}
	assert.Equal(t, []float64{float64(noon.Unix())}, newest(first))
	assert.Empty(t, newest(second), "it has stored nothing")
}

func TestService_AlarmsFollowTheOrderOfTimeAndNotOfArrival(t *testing.T) {
	t.Parallel()
	s := ready(t)
	alarmOf := func() (alarm.State, *time.Time) {
		all, err := s.Latest(t.Context())
		require.NoError(t, err)
		return all[0].Points[0].Alarm, all[0].Points[0].AlarmSince
	}
	ingest := func(samples ...telemetry.Sample) {
		_, err := s.Ingest(t.Context(), samples)
		require.NoError(t, err)
	}
	// In one batch and in disorder: above the limit at second 1, within the hysteresis at second 2.
	ingest(sample(busbar, noon.Add(2*time.Second), 119), sample(busbar, noon, 110), sample(busbar, noon.Add(time.Second), 121))
	state, since := alarmOf()
	assert.Equal(t, alarm.High, state)
	require.NotNil(t, since)
	assert.Equal(t, noon.Add(time.Second), since.UTC())

	ingest(sample(busbar, noon.Add(-time.Second), 90)) // late: history, no news
	state, _ = alarmOf()
	assert.Equal(t, alarm.High, state)

	ingest(sample(busbar, noon.Add(3*time.Second), 117))
	state, _ = alarmOf()
	assert.Equal(t, alarm.Normal, state)
}

func TestService_ABatchWithAMistakeStoresNothing(t *testing.T) {
	t.Parallel()
	s := ready(t)
	_, err := s.Ingest(t.Context(), []telemetry.Sample{
		sample(busbar, noon, 110), sample(busbar, noon.Add(time.Second), 1e6), sample(telemetry.Ref{Substation: "nord", Point: "none"}, noon, 1),
	})
	var mistakes *telemetry.Mistakes
	require.ErrorAs(t, err, &mistakes)
	assert.ElementsMatch(t, []string{
		"point nord/none does not exist; define its substation first",
		"point nord/u1: value 1e+06 is not possible for voltage; send 0 to 1500 kV",
	}, mistakes.List)
	_, buckets, err := s.Series(t.Context(), busbar, noon.Add(-time.Hour), noon.Add(time.Hour), time.Second)
	require.NoError(t, err)
	assert.Empty(t, buckets)
}

// Senders with the same points in different orders would deadlock if each took its locks in its own
// order.
func TestService_ConcurrentSendersLoseNothing(t *testing.T) {
	t.Parallel()
	s := ready(t)
	breaker := telemetry.Ref{Substation: "nord", Point: "q1"}
	var senders errgroup.Group
	for sender := range 8 {
		senders.Go(func() error {
			for i := range 25 {
				at := noon.Add(time.Duration(sender*1000+i) * time.Millisecond)
				batch := []telemetry.Sample{sample(busbar, at, 110), sample(breaker, at, 1)}
				if sender%2 == 0 {
					batch[0], batch[1] = batch[1], batch[0]
				}
				if stored, err := s.Ingest(t.Context(), batch); err != nil || stored != 2 {
					return fmt.Errorf("stored %d: %w", stored, err)
				}
			}
			return nil
		})
	}
	require.NoError(t, senders.Wait())
	_, buckets, err := s.Series(t.Context(), busbar, noon, noon.Add(time.Minute), time.Minute)
	require.NoError(t, err)
	require.Len(t, buckets, 1)
	assert.Equal(t, 200, buckets[0].Count)
	all, err := s.Latest(t.Context())
	require.NoError(t, err)
	assert.Equal(t, noon.Add(7024*time.Millisecond), all[0].Points[0].At.UTC(), "the newest, whoever came last")
}

// Of two concurrent batches the older one must not win because it is stored last.
func TestService_AnOlderBatchWaitsForANewerOneAndDoesNotReplaceIt(t *testing.T) {
	t.Parallel()
	s := ready(t)
	done := make(chan error, 1)
	require.NoError(t, s.WhileWriting(t.Context(), noon.Add(time.Minute), func() error {
		go func() {
			_, err := s.Ingest(t.Context(), []telemetry.Sample{sample(busbar, noon, 110)})
			done <- err
		}()
		require.Eventually(t, func() bool {
			waiting, err := s.Query(t.Context(), `SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
			return err == nil && len(waiting) == 1
		}, 4*time.Second, 5*time.Millisecond)
		return nil
	}))
	require.NoError(t, <-done)
	all, err := s.Latest(t.Context())
	require.NoError(t, err)
	assert.Equal(t, noon.Add(time.Minute), all[0].Points[0].At.UTC())
}

func TestService_ASeriesIsSummedUpInTheDatabase(t *testing.T) {
	t.Parallel()
	s := ready(t)
	var batch []telemetry.Sample
	for second := range 120 {
		batch = append(batch, sample(busbar, noon.Add(time.Duration(second)*time.Second), 100+float64(second%60)/10))
	}
	_, err := s.Ingest(t.Context(), batch)
	require.NoError(t, err)
	point, buckets, err := s.Series(t.Context(), busbar, noon.Add(-time.Hour), noon.Add(90*time.Second), time.Minute)
	require.NoError(t, err)
	assert.Equal(t, telemetry.Kind("voltage"), point.Kind)
	require.Len(t, buckets, 2)
	assert.Equal(t, noon, buckets[0].At.UTC())
	assert.InDeltaSlice(t, []float64{100, 102.95, 105.9}, []float64{buckets[0].Min, buckets[0].Avg, buckets[0].Max}, 1e-9)
	assert.Equal(t, 30, buckets[1].Count, "the end is not part of the range")

	_, _, err = s.Series(t.Context(), telemetry.Ref{Substation: "nord", Point: "none"}, noon, noon.Add(time.Minute), time.Second)
	require.ErrorIs(t, err, store.ErrNoPoint)
}

func TestService_LatestValuesDoNotReadTheHistory(t *testing.T) {
	t.Parallel()
	plan, err := ready(t).Query(t.Context(), "EXPLAIN "+store.SelectLatest)
	require.NoError(t, err)
	require.NotEmpty(t, plan)
	assert.NotContains(t, strings.Join(plan, "\n"), "telemetry")
}

func TestService_ASubstationIsDefinedAgain(t *testing.T) {
	t.Parallel()
	s := ready(t)
	changed := nord()
	changed.Name, changed.Points = "North", changed.Points[:1]
	high := 130.0
	changed.Points[0].High = &high
	require.NoError(t, s.Define(t.Context(), changed))
	all, err := s.Latest(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	assert.Equal(t, "North", all[0].Name)
	assert.InDelta(t, 130, *all[0].Points[0].High, 0)
	assert.Len(t, all[0].Points, 2, "a point that is left out is kept")

	changed.Points[0].Kind = "current"
	require.ErrorIs(t, s.Define(t.Context(), changed), store.ErrKindChanged)
}

// docs/service.md says how; the API cannot.
func TestService_AMistypedPointIsDeletedAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	s := ready(t)
	document, err := os.ReadFile("../../../docs/service.md")
	require.NoError(t, err)
	_, statements, found := strings.Cut(string(document), "```sql\n")
	require.True(t, found)
	statements, _, _ = strings.Cut(statements, "```")
	typo := nord()
	typo.Points = append(typo.Points, telemetry.Point{Key: "u11", Name: "Busbar 1", Kind: "voltage"})
	require.NoError(t, s.Define(t.Context(), typo))
	_, err = s.Ingest(t.Context(), []telemetry.Sample{sample(telemetry.Ref{Substation: "nord", Point: "u11"}, noon, 110)})
	require.NoError(t, err)
	for statement := range strings.SplitSeq(strings.TrimSpace(statements), ";\n") {
		require.NoError(t, s.Execute(t.Context(), statement))
	}
	all, err := s.Latest(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	assert.Len(t, all[0].Points, 2)
}

func TestService_OldDaysGoAndNewDaysCome(t *testing.T) {
	t.Parallel()
	s := ready(t)
	assert.Equal(t, []string{
		"telemetry_20260308", "telemetry_20260309", "telemetry_20260310", "telemetry_20260311", "telemetry_20260312",
	}, days(t, s))
	_, err := s.Ingest(t.Context(), []telemetry.Sample{sample(busbar, noon.Add(-retention), 110), sample(busbar, noon, 110)})
	require.NoError(t, err, "the oldest sample that is accepted has a partition")

	maintain(t, s, noon.Add(day(1)))
	assert.Equal(t, []string{
		"telemetry_20260309", "telemetry_20260310", "telemetry_20260311", "telemetry_20260312", "telemetry_20260313",
	}, days(t, s))
	_, buckets, err := s.Series(t.Context(), busbar, noon.Add(-day(30)), noon.Add(day(1)), time.Hour)
	require.NoError(t, err)
	assert.Len(t, buckets, 1)
}

// A long query makes the service wait with a deletion. Nothing waits for the deletion.
func TestService_ADeletionGivesWayToAQuery(t *testing.T) {
	t.Parallel()
	s := ready(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reading, read := make(chan struct{}), make(chan error, 1)
	go func() {
		read <- s.WhileReading(ctx, func() error { close(reading); <-ctx.Done(); return nil })
	}()
	<-reading
	for _, try := range []string{"the first", "one after an interrupted one"} {
		dropped := make(chan error, 1)
		go func() { dropped <- s.DropDays(t.Context(), noon.Add(day(1)-retention)) }()
		ingested := 0
		for err := error(nil); err == nil; ingested++ {
			select {
			case err = <-dropped:
				require.ErrorContains(t, err, "telemetry_20260308 cannot be dropped", try)
				require.ErrorContains(t, err, "lock timeout", "%s: it gives up long before a statement would", try)
			default:
				began := time.Now()
				_, wrong := s.Ingest(t.Context(), []telemetry.Sample{sample(busbar, noon.Add(time.Duration(ingested)*time.Second), 110)})
				require.NoError(t, wrong, try)
				require.Less(t, time.Since(began), 500*time.Millisecond, "%s: sample %d waited", try, ingested)
			}
		}
		assert.Greater(t, ingested, 2, "%s: there were samples while it waited", try)
	}
	require.NoError(t, s.AddDays(t.Context(), noon, noon.Add(day(5))), "new days come meanwhile")
	cancel()
	<-read
	require.NoError(t, s.DropDays(t.Context(), noon.Add(day(1)-retention)))
	assert.NotContains(t, days(t, s), "telemetry_20260308")
}

// A replica may end between the two steps of a deletion.
func TestService_AnInterruptedDeletionIsFinishedOrTakenBack(t *testing.T) {
	t.Parallel()
	s := ready(t)
	_, err := s.Ingest(t.Context(), []telemetry.Sample{sample(busbar, noon.Add(-day(1)), 110)})
	require.NoError(t, err)
	for _, detached := range []string{"telemetry_20260308", "telemetry_20260309"} {
		require.NoError(t, s.Execute(t.Context(), `ALTER TABLE telemetry DETACH PARTITION `+detached))
	}
	require.NoError(t, s.DropDays(t.Context(), noon.Add(-day(1))))
	tables, err := s.Query(t.Context(), `SELECT relname::text FROM pg_class WHERE relname = 'telemetry_20260308'`)
	require.NoError(t, err)
	assert.Empty(t, tables, "too old: dropped")
	require.NoError(t, s.AddDays(t.Context(), noon.Add(-day(1)), noon))
	_, buckets, err := s.Series(t.Context(), busbar, noon.Add(-day(2)), noon, time.Hour)
	require.NoError(t, err)
	assert.Len(t, buckets, 1, "kept longer now: the day is back with what was in it")
}

// days are the partitions of the history.
func days(t *testing.T, s *store.Store) []string {
	t.Helper()
	names, err := s.Query(t.Context(), `SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'telemetry'::regclass ORDER BY 1`)
	require.NoError(t, err)
	return names
}

func day(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

func TestService_ARotatedPasswordNeedsNoRestart(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	database, err := server.Database(t.Context())
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(database.Password+"\n"), 0o600))
	database.Password, database.PasswordFile = "", file
	s := open(t, database)
	require.NoError(t, s.Ping(t.Context()))

	require.NoError(t, server.Execute(t.Context(), fmt.Sprintf(`ALTER ROLE %s PASSWORD 'rotated'`, database.User)))
	require.NoError(t, server.Stop(syscall.SIGINT)) // no connection outlives this
	require.NoError(t, server.Start(t.Context()))
	require.Error(t, s.Ping(t.Context()), "on the connection that was open, or on a new one")
	err = s.Ping(t.Context())
	require.ErrorContains(t, err, "password authentication failed")
	assert.True(t, store.Unavailable(err))
	require.NoError(t, os.WriteFile(file, []byte("rotated\n"), 0o600))
	require.NoError(t, s.Ping(t.Context()))
}

func TestUnit_AMissingPasswordIsAnOutage(t *testing.T) {
	t.Parallel()
	s := open(t, settings.Database{
		Host: "127.0.0.1", Port: 1, Name: "gridos", User: "gridos", Auth: settings.AuthPassword, SSLMode: "disable", PoolSize: 2,
		PasswordFile: filepath.Join(t.TempDir(), "unmounted"),
	})
	_, err := s.Latest(t.Context())
	require.ErrorContains(t, err, "check that the secret is mounted")
	assert.True(t, store.Unavailable(err))
}

// All connections are busy, and the database works: the replica must stay in service.
func TestService_LoadIsNoOutage(t *testing.T) {
	t.Parallel()
	database := shared.Database(t)
	database.PoolSize = 2
	s := open(t, database)
	require.NoError(t, s.Migrate(t.Context()))
	require.NoError(t, s.WhileReading(t.Context(), func() error {
		return s.WhileReading(t.Context(), func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			return s.Ping(ctx)
		})
	}))
}

func TestService_AnEntraTokenIsThePassword(t *testing.T) {
	t.Parallel()
	database := shared.Database(t)
	token := &fakeToken{token: database.Password}
	database.Auth, database.Password = settings.AuthEntra, ""
	s, err := store.Open(t.Context(), database, token, quiet)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.NoError(t, s.Ping(t.Context()))
	assert.Equal(t, []string{"https://ossrdbms-aad.database.windows.net/.default"}, token.scopes)
}

type fakeToken struct {
	token  string
	scopes []string
}

func (f *fakeToken) GetToken(_ context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	f.scopes = options.Scopes
	return azcore.AccessToken{Token: f.token, ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func TestService_AServerThatGoesAwayIsAskedAgain(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	database, err := server.Database(t.Context())
	require.NoError(t, err)
	s := open(t, database)
	require.NoError(t, s.Migrate(t.Context()))
	maintain(t, s, noon)
	require.NoError(t, s.Define(t.Context(), nord()))

	require.NoError(t, server.Stop(syscall.SIGQUIT))
	_, err = s.Ingest(t.Context(), []telemetry.Sample{sample(busbar, noon, 110)})
	require.Error(t, err)
	assert.True(t, store.Unavailable(err), "%v", err)

	require.NoError(t, server.Start(t.Context()))
	all, err := s.Latest(t.Context())
	require.NoError(t, err)
	assert.Len(t, all, 1, "what was stored is still there")
}

func TestService_AServerThatCannotProveItsNameIsRefused(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	_, err := server.EnableTLS(t.Context())
	require.NoError(t, err)
	database, err := server.Database(t.Context())
	require.NoError(t, err)
	database.Host, database.SSLMode = "localhost", "require"
	require.NoError(t, open(t, database).Ping(t.Context()))
	database.SSLMode = "verify-full"
	require.ErrorContains(t, open(t, database).Ping(t.Context()), "certificate signed by unknown authority")
}
