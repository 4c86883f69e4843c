// Package service puts the parts together and runs them from the first signal to the last answer.
package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/sethvargo/go-retry"

	"github.com/gridos/sharedinfra/src/internal/access"
	"github.com/gridos/sharedinfra/src/internal/api"
	"github.com/gridos/sharedinfra/src/internal/dashboard"
	"github.com/gridos/sharedinfra/src/internal/observe"
	"github.com/gridos/sharedinfra/src/internal/settings"
	"github.com/gridos/sharedinfra/src/internal/store"
)

const (
	// drainTimeout is how long requests that run when the listener closes may take. Together with
	// SHUTDOWN_DELAY it must be less than the pod's terminationGracePeriodSeconds, which the
	// platform's tests compare.
	drainTimeout = 15 * time.Second
	// idleTimeout is longer than the mesh's gateway keeps a connection that it does not use, an
	// hour (Envoy, FAQ on timeouts). With a shorter one the service would close connections on
	// which the gateway is just sending a request, which then fails.
	idleTimeout    = 65 * time.Minute
	pingTimeout    = time.Second
	maintainEvery  = time.Hour
	day            = 24 * time.Hour
	daysAhead      = 7 // the process that adds the partitions may be down for a week
	retryAtMost    = 10 * time.Second
	maxHeaderBytes = 16 << 10
)

// Service is one replica.
type Service struct {
	settings settings.Settings
	logger   *slog.Logger
	store    *store.Store
	handler  http.Handler
	// prepared says that the schema exists, draining that the replica is about to end.
	prepared, draining atomic.Bool
}

// open prepares the connections to the database and connects to nothing yet.
func open(ctx context.Context, s settings.Settings, logger *slog.Logger) (*store.Store, error) {
	var credential azcore.TokenCredential
	if s.Database.Auth == settings.AuthEntra {
		// Exactly this kind: a chain of credentials would try others, and hide why this one fails.
		workload, err := azidentity.NewWorkloadIdentityCredential(nil)
		if err != nil {
			return nil, fmt.Errorf("DATABASE_AUTH is entra, but the pod has no workload identity; "+
				"label it azure.workload.identity/use=true: %w", err)
		}
		credential = workload
	}
	return store.Open(ctx, s.Database, credential, logger)
}

// New wires a replica up, which connects to nothing yet. Version is what /version answers.
func New(ctx context.Context, s settings.Settings, version string, logger *slog.Logger) (*Service, error) {
	database, err := open(ctx, s, logger)
	if err != nil {
		return nil, err
	}
	page, err := dashboard.New()
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "gridos_build_info", Help: "Always 1; the label says which version runs.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	registry.MustRegister(database, build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	r := &Service{settings: s, logger: logger, store: database}
	mux := http.NewServeMux()
	guarded := api.New(database, s.Retention, api.Access{
		Tokens:   access.Tokens{File: s.IngestTokenFile},
		Networks: access.Networks{Readers: s.ReadNetworks, Proxies: s.ProxyNetworks},
		Limiter:  access.NewLimiter(s.RateLimit),
	}, registry, logger)
	guarded.Register(mux)
	mux.Handle("GET /{$}", guarded.ReadOnly(page))
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"version": version})
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	mux.HandleFunc("GET /readyz", r.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry}))
	requests := observe.NewRequests(registry, logger, "GET /healthz", "GET /readyz", "GET /metrics")
	// Other sites must not make an operator's browser write here.
	r.handler = requests.Handler(r.headers(http.NewCrossOriginProtection().Handler(mux)))
	return r, nil
}

// headers protects every answer, and asks clients to take new connections elsewhere while the
// replica drains.
func (r *Service) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		// TLS ends at the Application Gateway. Where there is none, browsers ignore this (RFC 6797,
		// 8.1).
		header.Set("Strict-Transport-Security", "max-age=31536000")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'") // the page has one of its own
		if r.draining.Load() {
			header.Set("Connection", "close")
		}
		next.ServeHTTP(w, request)
	})
}

// ready answers whether this replica should get requests.
func (r *Service) ready(w http.ResponseWriter, request *http.Request) {
	refuse := func(reason string) { answer(w, http.StatusServiceUnavailable, map[string]string{"status": reason}) }
	switch {
	case r.draining.Load():
		refuse("shutting down")
	case !r.prepared.Load():
		refuse("the database has not been prepared yet")
	default:
		ctx, cancel := context.WithTimeout(request.Context(), pingTimeout)
		defer cancel()
		if err := r.store.Ping(ctx); err != nil {
			r.logger.Warn("not ready", "error", err)
			refuse("the database does not answer")
			return
		}
		answer(w, http.StatusOK, map[string]string{"status": "ready"})
	}
}

func answer(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone
}

// Run serves on the listener until ctx ends, and then goes in order: it refuses readiness and
// answers everything for SHUTDOWN_DELAY, closes the listener, waits for the requests that run,
// stops the work in the background, and leaves the database.
func (r *Service) Run(ctx context.Context, listener net.Listener) error {
	defer r.store.Close()
	server := &http.Server{
		Handler: r.handler, MaxHeaderBytes: maxHeaderBytes,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 20 * time.Second, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(r.logger.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	// The work in the background outlives ctx until the last request is answered.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.maintain(background)
	}()
	defer func() { stop(); <-stopped }()

	r.logger.Info("listening", "address", listener.Addr().String(), "database", r.settings.Database)
	if r.settings.IngestTokenFile == "" {
		r.logger.Warn("every client that reaches this service may write; set INGEST_TOKEN_FILE to ask for a token")
	}
	select {
	case err := <-served:
		return fmt.Errorf("the listener failed: %w", err)
	case <-ctx.Done():
	}

	r.draining.Store(true)
	r.logger.Info("shutting down: readiness is refused", "delay", r.settings.ShutdownDelay.String())
	select {
	case err := <-served:
		return fmt.Errorf("the listener failed: %w", err)
	case <-time.After(r.settings.ShutdownDelay):
	}
	r.logger.Info("shutting down: the listener closes")
	waiting, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := server.Shutdown(waiting); err != nil {
		return errors.Join(fmt.Errorf("requests were still running after %v and are cut: %w", drainTimeout, err), server.Close())
	}
	r.logger.Info("shut down: all requests are answered")
	return nil
}

// maintain prepares the database, and waits for it as long as necessary; then it maintains the
// partitions. With gridos migrate it only waits until that has done so. The replica is ready as
// soon as the partitions of today and tomorrow exist.
func (r *Service) maintain(ctx context.Context) {
	work := func(ctx context.Context) error {
		now := time.Now()
		if r.settings.Database.PreparedElsewhere {
			if err := r.store.Prepared(ctx, now, now.Add(day)); err != nil {
				return err
			}
			r.prepared.Store(true)
			return nil
		}
		if !r.prepared.Load() {
			if err := r.store.Migrate(ctx); err != nil {
				return err
			}
			if err := r.store.AddDays(ctx, now, now.Add(day)); err != nil {
				return err
			}
			r.prepared.Store(true)
		}
		return r.store.AddDays(ctx, now.Add(-r.settings.Retention), now.Add(daysAhead*day))
	}
	ticker := time.NewTicker(maintainEvery)
	defer ticker.Stop()
	for {
		if err := insist(ctx, r.logger, "the database is not prepared; trying again", work); err != nil {
			return
		}
		if !r.settings.Database.PreparedElsewhere {
			drop(ctx, r.store, r.settings.Retention, r.logger)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Prepare is gridos migrate: as the role that owns the tables, it updates the schema, grants the
// service's role access, adds the partitions of the days that are kept and of a week ahead, and
// drops older ones. It tries again until it has done so or ctx ends. A partition that a long query
// still holds is no error: the next call drops it.
func Prepare(ctx context.Context, s settings.Settings, logger *slog.Logger) error {
	database, err := open(ctx, s, logger)
	if err != nil {
		return err
	}
	defer database.Close()
	err = insist(ctx, logger, "the database cannot be prepared; trying again", func(ctx context.Context) error {
		if err := database.Migrate(ctx); err != nil {
			return err
		}
		if user := s.Database.ServiceUser; user != "" {
			var password string
			if file := s.Database.ServicePasswordFile; file != "" {
				content, err := os.ReadFile(file)
				if err != nil {
					return fmt.Errorf("DATABASE_SERVICE_PASSWORD_FILE cannot be read; check that the secret is mounted: %w", err)
				}
				if password = strings.TrimRight(string(content), "\r\n"); password == "" {
					return fmt.Errorf("DATABASE_SERVICE_PASSWORD_FILE, %s, is empty; check the secret that is mounted", file)
				}
			}
			if err := database.Authorize(ctx, user, password); err != nil {
				return err
			}
		}
		now := time.Now()
		return database.AddDays(ctx, now.Add(-s.Retention), now.Add(daysAhead*day))
	})
	if err != nil {
		return fmt.Errorf("ended before the database was prepared: %w", err)
	}
	drop(ctx, database, s.Retention, logger)
	logger.Info("the database is prepared", "database", s.Database)
	return nil
}

// insist repeats work until it succeeds, or returns the error of ctx.
func insist(ctx context.Context, logger *slog.Logger, complaint string, work func(context.Context) error) error {
	backoff := retry.WithJitterPercent(20, retry.WithCappedDuration(retryAtMost, retry.NewExponential(200*time.Millisecond)))
	return retry.Do(ctx, backoff, func(ctx context.Context) error {
		err := work(ctx)
		if err != nil && ctx.Err() == nil {
			logger.Error(complaint, "error", err)
		}
		return retry.RetryableError(err)
	})
}

func drop(ctx context.Context, database *store.Store, retention time.Duration, logger *slog.Logger) {
	if err := database.DropDays(ctx, time.Now().Add(-retention)); err != nil && ctx.Err() == nil {
		logger.Warn("what is too old is kept for now; the next try is in an hour", "error", err)
	}
}
