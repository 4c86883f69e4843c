package service_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gridos/sharedinfra/src/internal/api"
	"github.com/gridos/sharedinfra/src/internal/pgtest"
	"github.com/gridos/sharedinfra/src/internal/service"
	"github.com/gridos/sharedinfra/src/internal/servicetest"
	"github.com/gridos/sharedinfra/src/internal/settings"
)

var shared pgtest.Shared

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

var nord = map[string]any{"name": "Nord", "region": "Coast", "points": []map[string]any{
	{"key": "u1", "name": "Busbar 1", "kind": "voltage", "low": 105, "high": 120, "hysteresis": 1},
	{"key": "q1", "name": "Line 1", "kind": "breaker", "normal": 1},
}}

func ready(t *testing.T) *servicetest.Replica {
	t.Helper()
	replica := servicetest.Start(t, settings.Settings{Database: shared.Database(t)})
	replica.Ready(t, true)
	replica.Must(t, http.MethodPut, "/api/v1/substations/nord", nord)
	return replica
}

func sample(at time.Time, value any) string {
	return fmt.Sprintf(`{"substation": "nord", "point": "u1", "at": %q, "value": %v}`, at.UTC().Format(time.RFC3339Nano), value)
}

func batch(samples ...string) string { return `{"samples": [` + strings.Join(samples, ",") + `]}` }

func TestUnit_EntraNeedsAWorkloadIdentity(t *testing.T) {
	t.Setenv("AZURE_CLIENT_ID", "")
	_, err := service.New(t.Context(), settings.Settings{Database: settings.Database{Auth: settings.AuthEntra}}, "v1", slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "label it azure.workload.identity/use=true")
}

func TestService_SamplesBecomeLatestValuesAndHistory(t *testing.T) {
	t.Parallel()
	replica := ready(t)
	at := time.Now().Add(-10 * time.Second).UTC().Truncate(time.Second)
	two := batch(sample(at, 110), sample(at.Add(time.Second), 121.5))
	assert.JSONEq(t, `{"stored": 2, "duplicates": 0}`, replica.Must(t, http.MethodPost, "/api/v1/telemetry", two))
	assert.JSONEq(t, `{"stored": 0, "duplicates": 2}`, replica.Must(t, http.MethodPost, "/api/v1/telemetry", two))

	var latest api.Latest
	require.NoError(t, json.Unmarshal([]byte(replica.Must(t, http.MethodGet, "/api/v1/substations", nil)), &latest))
	require.Len(t, latest.Substations, 1)
	voltage, breaker := latest.Substations[0].Points[0], latest.Substations[0].Points[1]
	assert.InDelta(t, 121.5, *voltage.Value, 0)
	assert.Equal(t, "kV", voltage.Unit)
	assert.EqualValues(t, "high", voltage.Alarm)
	assert.False(t, voltage.Stale)
	assert.Equal(t, at.Add(time.Second), voltage.AlarmSince.UTC())
	assert.Nil(t, breaker.Value)
	assert.True(t, breaker.Stale, "nothing was ever measured")
	assert.Equal(t, []string{"open", "closed"}, breaker.States)

	var series api.Series
	answer := replica.Must(t, http.MethodGet, fmt.Sprintf("/api/v1/substations/nord/points/u1/series?from=%s&to=%s&buckets=1",
		at.Format(time.RFC3339), at.Add(time.Hour).Format(time.RFC3339)), nil)
	require.NoError(t, json.Unmarshal([]byte(answer), &series))
	assert.InDelta(t, 3600, series.BucketSeconds, 0)
	count := 0
	for _, bucket := range series.Buckets {
		count += bucket.Count
	}
	assert.Equal(t, 2, count)
	assert.Contains(t, answer, `"substation":"nord"`)
	assert.Contains(t, answer, `"point":"u1"`)
}

func TestService_WhatCannotBeRightIsRefused(t *testing.T) {
	t.Parallel()
	replica := ready(t)
	now := time.Now()
	series := "/api/v1/substations/nord/points/u1/series"
	post := func(body string) [3]string { return [3]string{http.MethodPost, "/api/v1/telemetry", body} }
	get := func(path string) [3]string { return [3]string{http.MethodGet, path, ""} }
	for name, c := range map[string]struct {
		request [3]string
		status  int
		detail  string
	}{
		"an impossible value":    {post(batch(sample(now, 1e5))), 422, "value 100000 is not possible for voltage"},
		"no number":              {post(batch(sample(now, `"110"`))), 400, "cannot unmarshal string"},
		"a number out of range":  {post(batch(sample(now, "1e999"))), 400, "1e999"},
		"the future":             {post(batch(sample(now.Add(time.Hour), 110))), 422, "in the future"},
		"the past":               {post(batch(sample(now.Add(-72*time.Hour), 110))), 422, "older than what is kept"},
		"an unknown field":       {post(`{"samples": [], "extra": 1}`), 400, "unknown field"},
		"two values":             {post(batch(sample(now, 110)) + "{}"), 400, "more after the first"},
		"no JSON":                {post("samples"), 400, "invalid character"},
		"nothing":                {post(""), 400, "EOF"},
		"no samples":             {post(batch()), 422, "send 1 to 5000"},
		"an oversized body":      {post(`{"samples": [` + strings.Repeat(" ", 2<<20) + `]}`), 413, "larger than 1048576 bytes"},
		"an unknown point":       {get("/api/v1/substations/nord/points/none/series"), 404, "nord/none"},
		"no identifier":          {get("/api/v1/substations/nord/points/'--/series"), 400, "no identifier"},
		"too long a range":       {get(series + "?window=1000h"), 400, "up to 744h"},
		"a reversed range":       {get(series + "?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z"), 400, "more than 0"},
		"a negative window":      {get(series + "?window=-1h"), 400, "more than 0"},
		"too many buckets":       {get(series + "?buckets=100000"), 400, "use 1 to 2000"},
		"no time":                {get(series + "?from=yesterday"), 400, "RFC 3339"},
		"a window and a range":   {get(series + "?window=1h&from=2026-03-02T00:00:00Z"), 400, "one or the other"},
		"an unknown parameter":   {get(series + "?points=100"), 400, `points\" is not known`},
		"an unknown path":        {get("/api/v1/nothing"), 404, "there is nothing at GET /api/v1/nothing"},
		"an unknown method":      {[3]string{http.MethodDelete, "/api/v1/substations", ""}, 404, "there is nothing at DELETE"},
		"a substation's mistake": {[3]string{http.MethodPut, "/api/v1/substations/x", `{"name": "", "points": []}`}, 422, "name"},
		"another identifier":     {[3]string{http.MethodPut, "/api/v1/substations/x", `{"id": "y"}`}, 422, "leave it out"},
		"a changed kind": {[3]string{
			http.MethodPut, "/api/v1/substations/nord",
			`{"name": "n", "points": [{"key": "u1", "name": "n", "kind": "current"}]}`,
		}, 409, "kind of a point cannot be changed"},
	} {
		response, body := replica.Do(t, c.request[0], c.request[1], c.request[2], nil)
		assert.Equal(t, c.status, response.StatusCode, "%s: %s", name, body)
		assert.Equal(t, "application/problem+json", response.Header.Get("Content-Type"), name)
		assert.Contains(t, body, c.detail, name)
	}
	response, body := replica.Do(t, http.MethodPost, "/api/v1/telemetry", "{}", http.Header{"Content-Type": {"text/plain"}})
	assert.Equal(t, http.StatusUnsupportedMediaType, response.StatusCode, body)
	response, body = replica.Do(t, http.MethodPost, "/api/v1/telemetry", batch(sample(now, 110)), http.Header{"Sec-Fetch-Site": {"cross-site"}})
	assert.Equal(t, http.StatusForbidden, response.StatusCode, "another site's page must not write: %s", body)
	assert.NotContains(t, replica.Log.String(), `"level":"ERROR"`, "a client's mistake is not the service's")
}

func TestService_WritingNeedsATokenAndReadingDoesNot(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("first-secret\n"), 0o600))
	replica := servicetest.Start(t, settings.Settings{Database: shared.Database(t), IngestTokenFile: file, LogLevel: slog.LevelDebug})
	replica.Ready(t, true)
	at := time.Now()
	writing := func(want int, authorization ...string) {
		t.Helper()
		for _, route := range []struct {
			method, path string
			body         any
		}{
			{http.MethodPut, "/api/v1/substations/nord", nord},
			{http.MethodPost, "/api/v1/telemetry", batch(sample(at, 110))},
		} {
			response, body := replica.Do(t, route.method, route.path, route.body, http.Header{"Authorization": authorization})
			assert.Equal(t, want, response.StatusCode, "%s %s with %q: %s", route.method, route.path, authorization, body)
		}
	}
	writing(401)
	for _, authorization := range []string{"", "Bearer", "Bearer wrong", "Bearer first-secre", "Bearer first-secrets", "first-secret"} {
		writing(401, authorization)
	}
	assert.NotContains(t, replica.Must(t, http.MethodGet, "/api/v1/substations", nil), "nord", "what was refused was not written")
	writing(200, "Bearer first-secret")
	require.NoError(t, os.WriteFile(file, []byte("second-secret\n"), 0o600))
	writing(401, "Bearer first-secret")
	writing(200, "Bearer second-secret")
	// A token is replaced: for a while both are valid. Each sender has its own.
	require.NoError(t, os.WriteFile(file, []byte("north second-secret\nnorth third-secret\nsouth fourth-secret\n"), 0o600))
	writing(200, "Bearer second-secret")
	writing(200, "bearer third-secret") // the scheme's name is not case-sensitive
	writing(200, "Bearer fourth-secret")
	assert.Contains(t, replica.Log.String(), `"sender":"south"`)
	require.NoError(t, os.WriteFile(file, []byte("south fourth-secret\n"), 0o600))
	writing(401, "Bearer third-secret")
	writing(200, "Bearer fourth-secret")
	refused := func(authorization ...string) string {
		response, _ := replica.Do(t, http.MethodPost, "/api/v1/telemetry", batch(sample(at, 110)),
			http.Header{"Authorization": authorization})
		return response.Header.Get("WWW-Authenticate")
	}
	assert.Equal(t, `Bearer realm="gridos"`, refused())
	assert.Equal(t, `Bearer realm="gridos", error="invalid_token"`, refused("Bearer third-secret"))
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	writing(500, "Bearer ") // an empty file opens nothing
	replica.Must(t, http.MethodGet, "/api/v1/substations", nil)
	assert.NotContains(t, replica.Log.String(), "-secret")
}

// The test is the mesh's gateway: its own address is a proxy's, and the header has the address that
// the Application Gateway saw.
func TestService_OnlyListedNetworksRead(t *testing.T) {
	t.Parallel()
	replica := servicetest.Start(t, settings.Settings{
		Database:      shared.Database(t),
		ReadNetworks:  []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")},
		ProxyNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")},
	})
	replica.Ready(t, true)
	for forwarded, want := range map[string]int{
		"198.51.100.7:50000, 10.30.1.4":              http.StatusOK,
		"203.0.113.9:50000, 10.30.1.4":               http.StatusForbidden,
		"198.51.100.7, 203.0.113.9:50000, 10.30.1.4": http.StatusForbidden, // what a client writes there itself
		"10.30.1.4": http.StatusForbidden,
		"":          http.StatusForbidden,
	} {
		for _, path := range []string{"/", "/api/v1/substations", "/api/v1/substations/nord/points/u1/series"} {
			response, body := replica.Do(t, http.MethodGet, path, nil, http.Header{"X-Forwarded-For": {forwarded}})
			got := response.StatusCode
			if got == http.StatusNotFound { // there is no such point; only a reader learns that
				got = http.StatusOK
			}
			assert.Equal(t, want, got, "%s from %q: %s", path, forwarded, body)
			if want == http.StatusForbidden {
				assert.Contains(t, body, "READ_NETWORKS")
			}
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/version"} {
		status, _ := replica.Get(t, path)
		assert.Equal(t, http.StatusOK, status, path)
	}
	replica.Must(t, http.MethodPut, "/api/v1/substations/nord", nord) // senders are known by their tokens
}

func TestService_EachSenderAndEachReaderHasALimit(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(file, []byte("north one\nsouth two\n"), 0o600))
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	replica := servicetest.Start(t, settings.Settings{
		Database: shared.Database(t), IngestTokenFile: file, RateLimit: 1,
		ReadNetworks: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, ProxyNetworks: loopback,
	})
	replica.Ready(t, true)
	write := func(token, from string) int {
		response, body := replica.Do(t, http.MethodPut, "/api/v1/substations/nord", nord,
			http.Header{"Authorization": {"Bearer " + token}, "X-Forwarded-For": {from}})
		if response.StatusCode == http.StatusTooManyRequests {
			assert.Equal(t, "1", response.Header.Get("Retry-After"), body)
		}
		return response.StatusCode
	}
	several := func(request func() int) (all []int) {
		for range 10 {
			all = append(all, request())
		}
		return all
	}
	assert.Contains(t, several(func() int { return write("one", "203.0.113.1") }), http.StatusTooManyRequests)
	assert.Contains(t, several(func() int { return write("one", "203.0.113.2") }), http.StatusTooManyRequests, "the sender, from anywhere")
	assert.Equal(t, http.StatusOK, write("two", "203.0.113.1"), "another sender, from the same address")
	assert.Contains(t, several(func() int { return write("guessed", "203.0.113.3") }), http.StatusTooManyRequests, "guesses")
	read := func(from string) int {
		response, _ := replica.Do(t, http.MethodGet, "/api/v1/substations", nil, http.Header{"X-Forwarded-For": {from}})
		return response.StatusCode
	}
	assert.Contains(t, several(func() int { return read("203.0.113.4") }), http.StatusTooManyRequests)
	assert.Equal(t, http.StatusOK, read("203.0.113.5"), "another reader")
	status, _ := replica.Get(t, "/readyz")
	assert.Equal(t, http.StatusOK, status, "a probe has no limit")
}

func TestService_MetricsCountWhatUsersAskFor(t *testing.T) {
	t.Parallel()
	replica := ready(t)
	replica.Must(t, http.MethodGet, "/api/v1/substations", nil)
	replica.Get(t, "/api/v1/substations/nord/points/none/series")
	replica.Get(t, "/api/v1/substations/nord/points/nothing/series")
	replica.Get(t, "/wp-login.php")
	for range 3 {
		replica.Get(t, "/healthz")
		replica.Get(t, "/readyz")
	}
	replica.Get(t, "/metrics")
	_, metrics := replica.Get(t, "/metrics")
	var counted []string
	for line := range strings.SplitSeq(metrics, "\n") {
		if strings.HasPrefix(line, "gridos_http_requests_total") {
			counted = append(counted, line)
		}
	}
	assert.ElementsMatch(t, []string{
		`gridos_http_requests_total{code="200",method="PUT",route="/api/v1/substations/{substation}"} 1`,
		`gridos_http_requests_total{code="200",method="GET",route="/api/v1/substations"} 1`,
		`gridos_http_requests_total{code="404",method="GET",route="/api/v1/substations/{substation}/points/{point}/series"} 2`,
		`gridos_http_requests_total{code="404",method="GET",route="other"} 1`,
	}, counted, "neither probes nor the metrics themselves")
	for _, limit := range []string{"0.25", "0.5"} {
		assert.Contains(t, metrics,
			`gridos_http_request_duration_seconds_bucket{method="GET",route="/api/v1/substations",le="`+limit+`"} 1`)
	}
	assert.Contains(t, metrics, `gridos_build_info{version="v1.2.3-test"} 1`)
	assert.Contains(t, metrics, `gridos_database_connections{state="idle"}`)
}

// Alerts, dashboards and the analysis of releases ask for the metrics of this table.
func TestService_TheMetricsInTheTableAreThere(t *testing.T) {
	t.Parallel()
	replica := ready(t)
	_, before := replica.Get(t, "/metrics")
	assert.NotContains(t, before, "gridos_samples_newest_timestamp_seconds", "an environment without senders is not late")
	at := time.Now().Add(-10 * time.Second).UTC().Truncate(time.Second)
	replica.Must(t, http.MethodPost, "/api/v1/telemetry", batch(sample(at, 110)))
	replica.Must(t, http.MethodPost, "/api/v1/telemetry", batch(sample(at.Add(-time.Minute), 110)))
	_, metrics := replica.Get(t, "/metrics")
	newest := regexp.MustCompile(`(?m)^gridos_samples_newest_timestamp_seconds (.+)$`).FindStringSubmatch(metrics)
	require.NotNil(t, newest)
	seconds, err := strconv.ParseFloat(newest[1], 64)
	require.NoError(t, err)
	assert.InDelta(t, at.Unix(), seconds, 0, "a sample that arrives late is not the newest")

	table, err := os.ReadFile("../../../docs/metrics.md")
	require.NoError(t, err)
	rows := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| the service \\|").FindAllSubmatch(table, -1)
	require.GreaterOrEqual(t, len(rows), 8)
	for _, row := range rows {
		assert.Regexp(t, "(?m)^"+string(row[1])+`[{ ]`, metrics)
	}
}

func TestService_AnswersAreProtectedAndTraceable(t *testing.T) {
	t.Parallel()
	replica := ready(t)
	response, page := replica.Do(t, http.MethodGet, "/", nil, http.Header{"X-Request-Id": {"abc-123"}})
	assert.Equal(t, "abc-123", response.Header.Get("X-Request-Id"))
	policy := response.Header.Get("Content-Security-Policy")
	assert.Contains(t, policy, "default-src 'none'")
	assert.Contains(t, policy, "frame-ancestors 'none'")
	assert.NotContains(t, policy, "unsafe")
	assert.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"))
	assert.Equal(t, "max-age=31536000", response.Header.Get("Strict-Transport-Security"))
	assert.NotContains(t, page, "https://")

	response, _ = replica.Do(t, http.MethodGet, "/", nil, http.Header{"If-None-Match": {response.Header.Get("ETag")}})
	assert.Equal(t, http.StatusNotModified, response.StatusCode)

	response, body := replica.Do(t, http.MethodGet, "/api/v1/nothing", nil, http.Header{"X-Request-Id": {"bad id\t{}"}})
	id := response.Header.Get("X-Request-Id")
	assert.Regexp(t, `^[A-Z2-7]{26}$`, id)
	assert.Contains(t, body, id)
	assert.Contains(t, replica.Log.String(), `"request":"`+id+`"`)
	_, body = replica.Get(t, "/version")
	assert.JSONEq(t, `{"version": "v1.2.3-test"}`, body)
}

func TestService_ReadinessFollowsTheDatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	database, err := server.Database(t.Context())
	require.NoError(t, err)
	require.NoError(t, server.Stop(syscall.SIGINT))
	replica := servicetest.Start(t, settings.Settings{Database: database})
	assertAway := func() {
		t.Helper()
		status, _ := replica.Get(t, "/healthz")
		assert.Equal(t, http.StatusOK, status, "a restart of the service would not help")
		response, body := replica.Do(t, http.MethodGet, "/api/v1/substations", nil, nil)
		assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode, body)
		assert.NotEmpty(t, response.Header.Get("Retry-After"))
		assert.NotContains(t, body, "127.0.0.1", "how the database is reached is nobody's business")
	}
	replica.Ready(t, false)
	assertAway()

	require.NoError(t, server.Start(t.Context())) // the service was first
	replica.Ready(t, true)
	replica.Must(t, http.MethodPut, "/api/v1/substations/nord", nord)
	replica.Must(t, http.MethodPost, "/api/v1/telemetry", batch(sample(time.Now(), 110)))

	require.NoError(t, server.Stop(syscall.SIGQUIT)) // like a power failure
	replica.Ready(t, false)
	assertAway()
	require.NoError(t, server.Start(t.Context()))
	replica.Ready(t, true)
	replica.Stop(t)

	again := servicetest.Start(t, settings.Settings{Database: database})
	again.Ready(t, true)
	assert.Contains(t, again.Must(t, http.MethodGet, "/api/v1/substations", nil), `"value":110`, "what was answered for is kept")
	assert.NotContains(t, replica.Log.String()+again.Log.String(), database.Password)
}

// A report, pg_dump or a forgotten transaction reads the history while a day is due to be dropped.
func TestService_ALongReadStopsNeitherIngestNorNewReplicas(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	database, err := server.Database(t.Context())
	require.NoError(t, err)
	first := servicetest.Start(t, settings.Settings{Database: database})
	first.Ready(t, true)
	first.Must(t, http.MethodPut, "/api/v1/substations/nord", nord)
	first.Stop(t)
	require.NoError(t, server.ExecuteIn(t.Context(), database.Name,
		`SET ROLE `+database.User,
		`CREATE TABLE telemetry_20200101 (LIKE telemetry INCLUDING ALL)`,
		`ALTER TABLE telemetry ATTACH PARTITION telemetry_20200101 FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')`))
	finish, err := server.Reading(t.Context(), database.Name, "telemetry")
	require.NoError(t, err)

	replicas := make([]*servicetest.Replica, 5)
	for i := range replicas {
		replicas[i] = servicetest.Start(t, settings.Settings{Database: database})
	}
	for _, replica := range replicas {
		replica.Ready(t, true)
	}
	var took []time.Duration
	for i := range 100 {
		began := time.Now()
		replicas[i%len(replicas)].Must(t, http.MethodPost, "/api/v1/telemetry", batch(sample(began, 110)))
		took = append(took, time.Since(began))
		time.Sleep(max(0, 50*time.Millisecond-time.Since(began)))
	}
	slices.Sort(took)
	t.Logf("half of the samples were accepted in %v, all in %v", took[len(took)/2], took[len(took)-1])
	assert.Less(t, took[len(took)/2], 200*time.Millisecond)
	assert.Less(t, took[len(took)*9/10], 500*time.Millisecond, "nine of ten")
	_, metrics := replicas[0].Get(t, "/metrics")
	assert.Contains(t, metrics, "gridos_database_oldest_partition_timestamp_seconds 1.5778368e+09", "2020-01-01: it is seen")

	require.NoError(t, finish())
	last := servicetest.Start(t, settings.Settings{Database: database})
	require.Eventually(t, func() bool {
		return server.ExecuteIn(t.Context(), database.Name, `SELECT FROM telemetry_20200101`) != nil
	}, 10*time.Second, 100*time.Millisecond, "it is dropped once it is not read any more")
	last.Ready(t, true)
}

// Clients send as fast as they can and change to the other replica when the first is not ready any
// more, as a load balancer does. Its end must cost none of their requests.
func TestService_AShutdownUnderLoadLosesNoRequest(t *testing.T) {
	t.Parallel()
	database := shared.Database(t)
	first := servicetest.Start(t, settings.Settings{Database: database, ShutdownDelay: 1500 * time.Millisecond})
	second := servicetest.Start(t, settings.Settings{Database: database})
	first.Ready(t, true)
	second.Ready(t, true)
	first.Must(t, http.MethodPut, "/api/v1/substations/nord", nord)

	var target atomic.Pointer[servicetest.Replica]
	target.Store(first)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	began := time.Now().Add(-time.Minute).UTC().Truncate(time.Second)
	var accepted, byFirst atomic.Int64
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}} // keeps connections, as a proxy does
	var clients errgroup.Group
	for sender := range 4 {
		clients.Go(func() error {
			for i := 0; ctx.Err() == nil; i++ {
				to := target.Load()
				at := began.Add(time.Duration(sender*1_000_000+i) * time.Microsecond)
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to.URL+"/api/v1/telemetry", strings.NewReader(batch(sample(at, 110))))
				if err != nil {
					return err
				}
				request.GetBody = nil // no silent second try by net/http
				request.Header.Set("Content-Type", "application/json")
				response, err := client.Do(request)
				if err != nil {
					return fmt.Errorf("request %d of sender %d: %w", i, sender, err)
				}
				body, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != http.StatusOK {
					return fmt.Errorf("request %d of sender %d: %s: %s: %w", i, sender, response.Status, body, err)
				}
				accepted.Add(1)
				if to == first {
					byFirst.Add(1)
				}
			}
			return nil
		})
	}
	require.Eventually(t, func() bool { return byFirst.Load() > 50 }, 20*time.Second, 5*time.Millisecond)
	first.Terminate()
	first.Ready(t, false)
	leaving, _ := first.Do(t, http.MethodGet, "/version", nil, nil)
	assert.True(t, leaving.Close, "a connection that is kept could close under the next request")
	whenRefused := byFirst.Load()
	require.Eventually(t, func() bool { return byFirst.Load() > whenRefused+20 }, 10*time.Second, 5*time.Millisecond,
		"it still answers while load balancers learn that it goes")
	target.Store(second)
	first.Stop(t)
	total := accepted.Load()
	require.Eventually(t, func() bool { return accepted.Load() > total+20 }, 20*time.Second, 5*time.Millisecond)
	stop()
	require.NoError(t, clients.Wait())

	answer := second.Must(t, http.MethodGet, "/api/v1/substations/nord/points/u1/series?window=1h&buckets=1", nil)
	var series api.Series
	require.NoError(t, json.Unmarshal([]byte(answer), &series))
	count := int64(0)
	for _, bucket := range series.Buckets {
		count += int64(bucket.Count)
	}
	assert.Equal(t, accepted.Load(), count, "every accepted sample is there")
}
