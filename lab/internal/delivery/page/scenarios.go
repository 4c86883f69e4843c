package page

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"time"
)

// scenarioDocument has the promises of the scenarios.
const scenarioDocument = "/docs/GITOPS_COMPLETE_FLOW.md#the-scenarios"

// scenarios reads the log of the scenarios that are played, which another process writes: an event
// in JSON per line.
type scenarios struct {
	file  string
	at    int64
	shown *Scenario
}

// last returns the last scenario, or nil. What cannot be read now is read the next time.
func (s *scenarios) last() *Scenario {
	file, err := os.Open(s.file)
	if err != nil {
		return s.shown
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() < s.at {
		s.at = 0 // a new log
	}
	if _, err := file.Seek(s.at, io.SeekStart); err != nil {
		return s.shown
	}
	added, err := io.ReadAll(file)
	if err != nil {
		return s.shown
	}
	whole := bytes.LastIndexByte(added, '\n') + 1
	s.at += int64(whole)
	for line := range bytes.Lines(added[:whole]) {
		s.read(line)
	}
	return s.shown
}

func (s *scenarios) read(line []byte) {
	var event struct {
		Time            time.Time
		Scenario, Event string
		Detail          json.RawMessage
	}
	if json.Unmarshal(line, &event) != nil {
		return
	}
	switch event.Event {
	case "begin":
		s.shown = &Scenario{Name: event.Scenario, Began: event.Time, Document: scenarioDocument}
		_ = json.Unmarshal(event.Detail, &s.shown.Promise) // a line without a promise has none
	case "result":
		var result struct {
			Passed   bool
			Evidence string
		}
		if json.Unmarshal(event.Detail, &result) == nil && s.shown != nil && s.shown.Name == event.Scenario {
			ended := *s.shown
			ended.Passed, ended.Evidence = &result.Passed, result.Evidence
			s.shown = &ended
		}
	}
}
