package gitops

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"

	"github.com/gridos/sharedinfra/lab/internal/delivery"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitserver"
	"github.com/gridos/sharedinfra/lab/internal/host/atomicfile"
	"github.com/gridos/sharedinfra/lab/internal/host/loopback"
	"github.com/gridos/sharedinfra/lab/internal/host/process"
)

// Status is the state of delivery, with its addresses.
type Status struct {
	// Ready says that Argo CD and all other components run. Before that, only Git and the registry
	// answer.
	Ready bool `json:"ready"`
	// GitURL is the repository that Argo CD syncs from, and Branch its branch. User and Token are
	// the credentials for pushing there.
	GitURL string `json:"gitUrl"`
	Branch string `json:"branch"`
	User   string `json:"user"`
	Token  string `json:"token"`
	// Registry is the registry's address as in the names of images, host:port. RegistryToken is
	// User's token for pushing there.
	Registry      string `json:"registry"`
	RegistryToken string `json:"registryToken"`
	// ArgoCD is the address of Argo CD's API, host:port, without TLS. It is empty before Ready.
	ArgoCD string `json:"argocd,omitempty"`
	// Prometheus is the URL of Prometheus. It is empty before Ready.
	Prometheus string `json:"prometheus,omitempty"`
	// Components are the processes.
	Components []delivery.Component `json:"components,omitempty"`
	// Application is the URL at which the service answers behind the Application Gateway. It is empty
	// before Ready, and where pods do not run; Refused says why they do not.
	Application string `json:"application,omitempty"`
	Refused     string `json:"refused,omitempty"`
	// Database is the address of the service's PostgreSQL server, host:port. It is empty where
	// Application is.
	Database string `json:"database,omitempty"`
	// Notifications is the address that people's notifications are sent to.
	Notifications string `json:"notifications"`
	// Webhook says whether the Git server announces pushes to Argo CD.
	Webhook bool `json:"webhook"`
}

// Service is a service that a release depends on, and that can be made unavailable.
type Service string

// The services that can be made unavailable.
const (
	Git        Service = "git"
	Registry   Service = "registry"
	Prometheus Service = "prometheus"
)

// entry tells Connect where the control API is.
type entry struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

func entryFile(dir string) string { return filepath.Join(dir, "control.json") }

// control serves the commands of the lab, which run in other processes.
type control struct {
	server *loopback.Server
	file   string
}

func serveControl(ctx context.Context, s *Server) (*control, error) {
	listener, err := loopback.Listen(ctx, "the control of the lab", 0)
	if err != nil {
		return nil, err
	}
	access := entry{URL: "http://" + listener.Address(), Token: rand.Text()}
	c := &control{
		server: listener.Serve(protected(access.Token, s.handler()), log.Default()), file: entryFile(s.options.Dir),
	}
	if err := writePrivate(c.file, access); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

func (c *control) stop() error {
	err := c.server.Stop()
	if removed := os.Remove(c.file); !os.IsNotExist(removed) {
		err = errors.Join(err, removed)
	}
	return err
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.status()) })
	mux.HandleFunc("PUT /webhook", func(w http.ResponseWriter, r *http.Request) {
		s.take(w, r, func(decode func(any) error) error {
			var on bool
			if err := decode(&on); err != nil {
				return err
			}
			s.webhook = on
			s.announce()
			return nil
		})
	})
	mux.HandleFunc("PUT /away/{service}", func(w http.ResponseWriter, r *http.Request) {
		s.take(w, r, func(decode func(any) error) error {
			var away bool
			if err := decode(&away); err != nil {
				return err
			}
			return s.setAway(Service(r.PathValue("service")), away)
		})
	})
	mux.HandleFunc("PUT /rules", func(w http.ResponseWriter, r *http.Request) {
		s.take(w, r, func(decode func(any) error) error {
			var rules delivery.Rules
			if err := decode(&rules); err != nil {
				return err
			}
			if s.running == nil {
				return errNotReady
			}
			return s.running.delivery.SetRules(rules)
		})
	})
	mux.HandleFunc("GET /notifications", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.receiver.received()) })
	mux.HandleFunc("GET /traffic", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.running == nil {
			http.Error(w, errNotReady.Error(), http.StatusServiceUnavailable)
			return
		}
		answer(w, s.running.traffic.Seen())
	})
	mux.HandleFunc("PUT /traffic/rate", func(w http.ResponseWriter, r *http.Request) {
		s.take(w, r, func(decode func(any) error) error {
			var perSecond float64
			if err := decode(&perSecond); err != nil {
				return err
			}
			if s.running == nil {
				return errNotReady
			}
			s.running.traffic.SetRate(perSecond)
			return nil
		})
	})
	return mux
}

// errNotReady is the answer until the cluster has Argo CD.
var errNotReady = errors.New("Argo CD does not run yet; `bin/lab up --gitops` waits for it")

// setAway must be called with s.mu held.
func (s *Server) setAway(service Service, away bool) error {
	switch service {
	case Git:
		s.git.SetAway(away)
	case Registry:
		s.registry.SetAway(away)
	case Prometheus:
		if s.running == nil {
			return errNotReady
		}
		s.running.delivery.SetPrometheusAway(away)
	default:
		return fmt.Errorf("there is no service %q; there are %s, %s and %s", service, Git, Registry, Prometheus)
	}
	return nil
}

func (s *Server) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := Status{
		Ready: s.running != nil, Webhook: s.webhook, Registry: s.registry.Address(), RegistryToken: s.registry.Token(),
		GitURL: s.git.URL(), Branch: s.options.Branch, User: gitserver.User, Token: s.git.Token(),
		Notifications: s.receiver.url,
	}
	if s.running != nil {
		status.ArgoCD = s.running.delivery.ServerAddress()
		status.Prometheus = s.running.delivery.PrometheusURL()
		status.Components = s.running.delivery.Components()
		if s.refused == nil {
			status.Application = s.running.traffic.URL()
			status.Database = process.HostPort(s.ports.Database)
		} else {
			status.Refused = s.refused.Error()
		}
	}
	return status
}

// take changes something, with s.mu held.
func (s *Server) take(w http.ResponseWriter, r *http.Request, change func(decode func(any) error) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const most = 1 << 20
	if err := change(json.NewDecoder(http.MaxBytesReader(w, r.Body, most)).Decode); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		// The answer has begun, so the only way to report the error is to break it off.
		panic(http.ErrAbortHandler)
	}
}

// protected admits only clients that can read the entry's file, because other users of the machine
// reach the loopback interface too.
func protected(token string, next http.Handler) http.Handler {
	want := []byte("Bearer " + token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			http.Error(w, "the token is missing or wrong", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// writePrivate writes, in one step, a file that only its owner may read.
func writePrivate(file string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return atomicfile.Write(file, text)
}

func unmarshal(file string, text []byte, into any) error {
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s is malformed; take the lab down: %w", file, err)
	}
	return nil
}
