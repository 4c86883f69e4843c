package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gridos/sharedinfra/src/internal/pgtest"
	"github.com/gridos/sharedinfra/src/internal/program"
	"github.com/gridos/sharedinfra/src/internal/settings"
)

// The values of the writes, in kV.
const (
	first  = 111.0
	second = 112.0
	third  = 113.0
)

// unready is how long a replica may go on saying that it is ready after its database was lost.
const unready = 30 * time.Second

// between is the moment that a person would give: a whole second after the first write (az takes
// --restore-time as such).
func between(_, after time.Time) time.Time { return after.Truncate(time.Second).Add(time.Second) }

// rehearsal is what a rehearsal works with.
type rehearsal struct {
	report
	path   string // of the service's program
	secret string // the file with the password of the service's role, as the key vault has it
	began  time.Time

	archive *pgtest.Archive
	server  *pgtest.Server
	// owner is the database as gridos migrate gets it.
	owner   settings.Database
	replica *program.Replica
}

// rehearse plays the loss and the return. The moment is chosen from the times before and after the
// first write; it must not be before the first of them.
func rehearse(ctx context.Context, path, scratch string, choose func(before, after time.Time) time.Time) (done report, err error) {
	r := &rehearsal{path: path, secret: filepath.Join(scratch, "password"), began: time.Now()}
	defer func() { done, err = r.report, errors.Join(err, r.end()) }()
	if err := r.prepare(ctx); err != nil {
		return r.report, err
	}
	if err := r.write(ctx, choose); err != nil {
		return r.report, err
	}
	lost := time.Now()
	if err := r.lose(ctx); err != nil {
		return r.report, err
	}
	if err := r.restore(ctx); err != nil {
		return r.report, err
	}
	r.Away = time.Since(lost).Seconds()
	return r.report, nil
}

// prepare makes the environment, and the base backup that Azure makes once a day.
func (r *rehearsal) prepare(ctx context.Context) error {
	if err := r.do("set up", func() (seen string, err error) {
		if r.archive, err = pgtest.NewArchive(); err != nil {
			return "", err
		}
		if r.server, err = pgtest.New(ctx, r.archive.Options()...); err != nil {
			return "", err
		}
		if r.PostgreSQL, err = r.server.Version(ctx); err != nil {
			return "", err
		}
		if r.owner, err = r.server.AzureDatabase(ctx); err != nil {
			return "", err
		}
		r.owner.ServiceUser, r.owner.ServicePasswordFile = "gridos", r.secret
		if err := r.rotate(ctx); err != nil {
			return "", err
		}
		if err := r.serve(ctx); err != nil {
			return "", err
		}
		_, err = r.replica.Send(ctx, http.MethodPut, "/api/v1/substations/nord",
			[]byte(`{"name": "Nord", "region": "Coast", "points": [{"key": "u1", "name": "Busbar 1", "kind": "voltage"}]}`))
		return "a server that archives its WAL, gridos migrate, a replica that is ready", err
	}); err != nil {
		return err
	}
	return r.do("base backup", func() (string, error) {
		bytes, err := r.archive.Backup(ctx, r.server)
		return fmt.Sprintf("%d MB", bytes>>20), err
	})
}

// write makes the two writes, with the moment between them, and waits until the archive has both:
// what was not archived yet would be lost with the server.
func (r *rehearsal) write(ctx context.Context, choose func(before, after time.Time) time.Time) error {
	var next time.Time
	if err := r.do("first write", func() (string, error) {
		before := time.Now()
		if err := r.send(ctx, first); err != nil {
			return "", err
		}
		after := time.Now()
		next, r.Moment = between(before, after), choose(before, after).UTC()
		return fmt.Sprintf("%g kV", first), r.expect(ctx, first)
	}); err != nil {
		return err
	}
	select { // the moment is a time, and no condition tells that it has passed
	case <-time.After(time.Until(next) + time.Millisecond):
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := r.do("second write", func() (string, error) {
		if err := r.send(ctx, second); err != nil {
			return "", err
		}
		if err := r.expect(ctx, first, second); err != nil {
			return "", err
		}
		return fmt.Sprintf("%g kV, and another password of the service's role", second), r.rotate(ctx)
	}); err != nil {
		return err
	}
	return r.do("archive", func() (string, error) {
		return "the WAL of both writes", r.archive.Complete(ctx, r.server)
	})
}

// lose ends the server at once and deletes its files. The replica must say that it is not ready,
// and must not end.
func (r *rehearsal) lose(ctx context.Context) error {
	return r.do("loss", func() (string, error) {
		if err := r.server.Remove(); err != nil {
			return "", err
		}
		waiting, cancel := context.WithTimeout(ctx, unready)
		defer cancel()
		if err := r.replica.Until(waiting, http.StatusServiceUnavailable); err != nil {
			return "", err
		}
		_, err := r.replica.Send(ctx, http.MethodGet, "/healthz", nil)
		return "the server and its files are gone; the replica is alive and not ready", err
	})
}

// restore follows the steps of docs/OPERATIONS.md, Restore: another server, the service pointed at
// it, a look at the data.
func (r *rehearsal) restore(ctx context.Context) error {
	if err := r.do("restore", func() (seen string, err error) {
		r.server, err = r.archive.Restore(ctx, r.Moment)
		return "a new server from the backup and the WAL until " + r.Moment.Format(time.RFC3339Nano), err
	}); err != nil {
		return err
	}
	if err := r.do("service", func() (string, error) {
		if err := r.replica.Stop(); err != nil {
			return "", err
		}
		r.replica = nil
		r.owner.Port = uint16(r.server.Port())
		// The new server has the password of the moment for the service's role, and the key vault
		// has a later one.
		if err := program.Migrate(ctx, r.path, r.owner); err != nil {
			return "", err
		}
		return "gridos migrate has set the present password; another replica is ready", r.serve(ctx)
	}); err != nil {
		return err
	}
	return r.do("data", func() (string, error) {
		if err := r.expect(ctx, first); err != nil {
			return "", err
		}
		if err := r.send(ctx, third); err != nil {
			return "", err
		}
		return fmt.Sprintf("%g kV is there, %g kV is not; %g kV was written", first, second, third), r.expect(ctx, first, third)
	})
}

// rotate gives the service's role another password.
func (r *rehearsal) rotate(ctx context.Context) error {
	if err := os.WriteFile(r.secret, []byte(rand.Text()+"\n"), 0o600); err != nil {
		return err
	}
	return program.Migrate(ctx, r.path, r.owner)
}

// serve starts a replica as the platform does: its role owns nothing.
func (r *rehearsal) serve(ctx context.Context) (err error) {
	pods := r.owner
	pods.User, pods.Password, pods.PasswordFile, pods.PreparedElsewhere = r.owner.ServiceUser, "", r.secret, true
	pods.ServiceUser, pods.ServicePasswordFile = "", ""
	r.replica, err = program.Start(ctx, []string{r.path}, program.Environment(pods))
	return err
}

// send writes a value, as a field gateway does.
func (r *rehearsal) send(ctx context.Context, value float64) error {
	_, err := r.replica.Send(ctx, http.MethodPost, "/api/v1/telemetry", fmt.Appendf(nil,
		`{"samples": [{"substation": "nord", "point": "u1", "at": %q, "value": %g}]}`, time.Now().UTC().Format(time.RFC3339Nano), value))
	return err
}

// expect compares what a user sees with what should be there: the history has all values, and the
// point the last of them.
func (r *rehearsal) expect(ctx context.Context, want ...float64) error {
	// Each second is a bucket of its own, and each value was sent in another second.
	answer, err := r.replica.Send(ctx, http.MethodGet, "/api/v1/substations/nord/points/u1/series?"+url.Values{
		"from": {r.began.UTC().Format(time.RFC3339)}, "to": {time.Now().UTC().Add(time.Second).Format(time.RFC3339Nano)},
		"buckets": {"2000"},
	}.Encode(), nil)
	if err != nil {
		return err
	}
	var history struct {
		Buckets []struct {
			Max   float64 `json:"max"`
			Count int     `json:"count"`
		} `json:"buckets"`
	}
	if err := json.Unmarshal(answer, &history); err != nil {
		return err
	}
	has, samples := []float64{}, 0
	for _, bucket := range history.Buckets {
		has, samples = append(has, bucket.Max), samples+bucket.Count
	}
	if !slices.Equal(has, want) || samples != len(want) {
		return fmt.Errorf("the history has %v kV in %d samples; it must have %v", has, samples, want)
	}
	answer, err = r.replica.Send(ctx, http.MethodGet, "/api/v1/substations", nil)
	if err != nil {
		return err
	}
	var latest struct {
		Substations []struct {
			Points []struct {
				Value *float64 `json:"value"`
			} `json:"points"`
		} `json:"substations"`
	}
	if err := json.Unmarshal(answer, &latest); err != nil {
		return err
	}
	if len(latest.Substations) != 1 || len(latest.Substations[0].Points) != 1 {
		return fmt.Errorf("the substations are %s; there must be one, with one point", answer)
	}
	if value := latest.Substations[0].Points[0].Value; value == nil || *value != want[len(want)-1] {
		return fmt.Errorf("the newest value is not %g kV: %s", want[len(want)-1], answer)
	}
	return nil
}

// end stops and deletes what is left.
func (r *rehearsal) end() error {
	var problems []error
	if r.replica != nil {
		problems = append(problems, r.replica.Stop())
	}
	if r.server != nil {
		problems = append(problems, r.server.Remove())
	}
	if r.archive != nil {
		problems = append(problems, r.archive.Remove())
	}
	return errors.Join(problems...)
}
