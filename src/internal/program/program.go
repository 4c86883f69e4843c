// Package program builds the service and runs it as processes, for measurements and rehearsals.
package program

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gridos/sharedinfra/src/internal/settings"
)

// Build makes the program in a folder as the Dockerfile does, and returns its path.
func Build(ctx context.Context, folder string) (path string, err error) {
	path = filepath.Join(folder, "gridos")
	if output, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path,
		"github.com/gridos/sharedinfra/src").CombinedOutput(); err != nil {
		return "", fmt.Errorf("the service cannot be built: %w: %s", err, output)
	}
	return path, nil
}

// Environment are the variables of a process that uses a database. It listens on a free port of
// loopback.
func Environment(d settings.Database) []string {
	variables := append(os.Environ(), "HTTP_ADDRESS=127.0.0.1:0", "LOG_LEVEL=info", "SHUTDOWN_DELAY=0s",
		"DATABASE_HOST="+d.Host, fmt.Sprintf("DATABASE_PORT=%d", d.Port), "DATABASE_NAME="+d.Name, "DATABASE_USER="+d.User,
		"DATABASE_PASSWORD="+d.Password, "DATABASE_PASSWORD_FILE="+d.PasswordFile, "DATABASE_SSLMODE="+d.SSLMode,
		"DATABASE_SERVICE_USER="+d.ServiceUser, "DATABASE_SERVICE_PASSWORD_FILE="+d.ServicePasswordFile)
	if d.PreparedElsewhere {
		variables = append(variables, "DATABASE_PREPARED_BY=migrate")
	}
	return variables
}

// Migrate runs gridos migrate to its end.
func Migrate(ctx context.Context, path string, d settings.Database) error {
	command := exec.CommandContext(ctx, path, "migrate")
	command.Env = Environment(d)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("gridos migrate: %w: %s", err, output)
	}
	return nil
}

// Replica is a running process of the service.
type Replica struct {
	// URL is its address.
	URL     string
	process *exec.Cmd
}

// Start starts a replica, and returns when it is ready.
func Start(ctx context.Context, arguments, environment []string) (*Replica, error) {
	r := &Replica{process: exec.CommandContext(context.WithoutCancel(ctx), arguments[0], arguments[1:]...)}
	r.process.Env = environment
	r.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := r.process.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := r.process.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(log)
	for r.URL == "" {
		var line struct{ Msg, Address string }
		if !lines.Scan() || json.Unmarshal(lines.Bytes(), &line) != nil {
			return nil, errors.Join(fmt.Errorf("the service did not start: %s", lines.Text()), r.Stop())
		}
		if line.Msg == "listening" {
			r.URL = "http://" + line.Address
		}
	}
	go func() {
		for lines.Scan() {
			if bytes.Contains(lines.Bytes(), []byte(`"level":"ERROR"`)) {
				fmt.Fprintln(os.Stderr, lines.Text())
			}
		}
	}()
	if err := r.Until(ctx, http.StatusOK); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

// Until waits until /readyz answers with a status: 200 when the replica is ready, 503 when it is
// not.
func (r *Replica) Until(ctx context.Context, status int) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		answered, answer, err := r.ask(ctx, http.MethodGet, "/readyz", nil)
		if err == nil && answered == status {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("/readyz of the service did not become %d: its last answer was %d %s: %w",
				status, answered, answer, errors.Join(err, ctx.Err()))
		case <-ticker.C:
		}
	}
}

// Send sends a request that has to succeed, and returns the answer.
func (r *Replica) Send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	status, answer, err := r.ask(ctx, method, path, body)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s %s: %d: %s", method, path, status, answer)
	}
	return answer, err
}

func (r *Replica) ask(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, r.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// Stop ends the process, and returns when it has ended.
func (r *Replica) Stop() error {
	if err := r.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return r.process.Wait()
}
