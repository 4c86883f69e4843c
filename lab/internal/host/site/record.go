package site

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/gofrs/flock"

	"github.com/gridos/sharedinfra/lab/internal/host/atomicfile"
)

// Record is the information of the background process for the lab's other commands.
type Record struct {
	// PID is the process id of the background process.
	PID int `json:"pid"`
	// AzurePort and RandomPort serve the providers on 127.0.0.1.
	AzurePort  int `json:"azurePort"`
	RandomPort int `json:"randomPort"`
	// Page is the address of the page on which a person watches the lab.
	Page string `json:"page"`
	// Tools are the directories of the lab's binaries, in the order of a PATH.
	Tools []string `json:"tools"`
	// Started is when it started.
	Started time.Time `json:"started"`
	// Ending says that a part of the process has ended, and that it is ending the others.
	Ending bool `json:"ending,omitempty"`
}

// Running reads the record of a background process that is alive; ok is false if there is none.
func (s Site) Running() (record Record, ok bool, err error) {
	text, err := os.ReadFile(s.RecordFile())
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, false, nil
	}
	if err != nil {
		return Record{}, false, err
	}
	if err := json.Unmarshal(text, &record); err != nil {
		return Record{}, false, fmt.Errorf("%s: %w", s.RecordFile(), err)
	}
	alive := flock.New(s.aliveFile())
	ended, err := alive.TryRLock() // shared, so that two readers do not take each other for the process
	if err != nil {
		return record, false, fmt.Errorf("lock %s: %w", s.aliveFile(), err)
	}
	if ended { // without cleaning up, as after a power cut
		return record, false, alive.Unlock()
	}
	return record, true, nil
}

// HoldAlive marks the calling process as the site's background process until release is called or
// the process ends. It uses a lock. Unlike a process id, a lock can neither outlive its owner nor
// pass to another process.
func (s Site) HoldAlive(ctx context.Context) (release func() error, err error) {
	alive := flock.New(s.aliveFile())
	ctx, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	if _, err := alive.TryLockContext(ctx, glance/100); err != nil {
		return nil, fmt.Errorf("a background process serves %s already: lock %s: %w", s.Environment, s.aliveFile(), err)
	}
	return alive.Unlock, nil
}

// glance is longer than any check of the lock takes.
const glance = 2 * time.Second

func (s Site) aliveFile() string { return s.RecordFile() + ".lock" }

// Write publishes the record in one step; readers see the old one or the new one, never a part.
func (s Site) Write(record Record) error {
	text, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(s.RecordFile(), text)
}
