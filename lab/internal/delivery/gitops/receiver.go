package gitops

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gridos/sharedinfra/bootstrap/notifications"
	"github.com/gridos/sharedinfra/lab/internal/host/loopback"
)

// Notification is a message that the lab's receiver has got, as bootstrap/notifications words it.
type Notification struct {
	At          time.Time `json:"at"`
	Environment string    `json:"environment"`
	Application string    `json:"application"`
	Event       string    `json:"event"`
	Revision    string    `json:"revision"`
	URL         string    `json:"url"`
}

// receiver is the webhook that Argo CD and Argo Rollouts notify. It stands for a chat.
type receiver struct {
	server *loopback.Server
	url    string
	token  string

	mu  sync.Mutex
	log *os.File
	got []Notification
}

// notificationsFile has the messages, one a line.
const notificationsFile = "notifications.jsonl"

// openReceiver serves at the port those who show the token, and adds what arrives to a file in dir.
func openReceiver(ctx context.Context, dir string, port int, token string) (*receiver, error) {
	file, err := os.OpenFile(filepath.Join(dir, notificationsFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	listener, err := loopback.Listen(ctx, "the receiver of notifications", port)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	r := &receiver{url: "http://" + listener.Address() + "/releases", token: token, log: file}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /releases", r.receive)
	r.server = listener.Serve(protected(token, mux), log.Default())
	return r, nil
}

func (r *receiver) receive(w http.ResponseWriter, request *http.Request) {
	const most = 1 << 16
	message := Notification{}
	decoder := json.NewDecoder(http.MaxBytesReader(w, request.Body, most))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&message); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	message.At = time.Now().UTC()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := json.NewEncoder(r.log).Encode(message); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	r.got = append(r.got, message)
}

func (r *receiver) stop() error { return errors.Join(r.server.Stop(), r.log.Close()) }

// received returns the messages, the oldest first.
func (r *receiver) received() []Notification {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// VaultSecrets are the secrets that people put into the key vault, by their names: the token for
// the receiver of notifications.
func (s *Server) VaultSecrets() map[string]string {
	return map[string]string{notifications.VaultSecret(notifications.Webhook): s.receiver.token}
}
