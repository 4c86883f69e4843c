package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	prometheusapi "github.com/prometheus/client_golang/api"
	prometheusv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/gridos/sharedinfra/lab/internal/delivery"
)

// Provocation makes the cause of alerts in the lab.
type Provocation struct {
	// Alerts are the names of the alerts that must fire, and end when the cause has gone.
	Alerts []string
	// What is done, in a few words.
	What string
	// of are labels of the alerts, where one of the same name fires in the lab all the time.
	of map[string]string
	// prepare does what comes before the cause.
	prepare func(ctx context.Context, s *Stage) (cause, error)
}

// cause is begun once, and ended once.
type cause struct {
	begin, end func(ctx context.Context) error
}

// Raised is what became of an alert.
type Raised struct {
	Alert      string `json:"alert"`
	ProvokedBy string `json:"provokedBy"`
	// Fired is how many seconds after its cause the alert fired, and Cleared how many seconds after
	// the end of the cause it had gone; nil if it did not.
	Fired   *float64 `json:"firedSeconds,omitempty"`
	Cleared *float64 `json:"clearedSeconds,omitempty"`
}

const (
	// provokeTimeout bounds each wait for alerts: the longest is for a burn rate to leave its window
	// of six hours, which is six minutes with the factor 60.
	provokeTimeout = 10 * time.Minute
	// rulesTimeout bounds the wait until Prometheus has read its rules.
	rulesTimeout = 30 * time.Second
)

// UseRules makes the lab's Prometheus evaluate rules, and returns when it does. Without groups it
// has those in Git again.
func (s *Stage) UseRules(ctx context.Context, rules delivery.Rules) error {
	if err := s.options.Lab.SetRules(ctx, rules); err != nil {
		return err
	}
	s.rules = rules
	wanted, err := waitsOf(rules)
	if err != nil {
		return err
	}
	prometheus, err := s.prometheus()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, rulesTimeout)
	defer cancel()
	what := fmt.Sprintf("Prometheus evaluates %d groups of rules with their waits", len(rules.Groups))
	return eventually(ctx, what, func(ctx context.Context) (bool, error) {
		loaded, err := prometheus.Rules(ctx)
		if err != nil {
			return false, fmt.Errorf("ask Prometheus for its rules: %w", err)
		}
		alerts := 0
		for _, group := range loaded.Groups {
			for _, rule := range group.Rules {
				alert, is := rule.(prometheusv1.AlertingRule)
				if !is {
					continue
				}
				seconds, known := wanted[alert.Name]
				if !known || seconds != alert.Duration || group.Interval != wanted[""] {
					return len(rules.Groups) == 0, nil // those in Git are checked by TheFlowKeepsItsPromises
				}
				alerts++
			}
		}
		return alerts == len(wanted)-1, nil
	})
}

// waitsOf returns the wait of each alert in seconds, and under "" the interval of evaluations.
func waitsOf(rules delivery.Rules) (map[string]float64, error) {
	waits := map[string]float64{}
	add := func(name, text string) error {
		d, err := model.ParseDuration(cmp.Or(text, "0s"))
		waits[name] = time.Duration(d).Seconds()
		return err
	}
	err := add("", rules.Interval)
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			if rule.Alert != "" {
				err = errors.Join(err, add(rule.Alert, rule.For))
			}
		}
	}
	return waits, err
}

// Provoke makes a cause, waits until the alerts fire, ends the cause, and waits until they have
// gone. The error says which of them did not; what was seen until then is returned besides.
func (s *Stage) Provoke(ctx context.Context, p Provocation) ([]Raised, error) {
	s.begin(strings.Join(p.Alerts, " "), "the alert fires by its cause, and ends without it")
	limited, cancelSettle := context.WithTimeout(ctx, timeout)
	defer cancelSettle()
	if err := s.settle(limited); err != nil {
		return nil, fmt.Errorf("before %s the application is not healthy: %w", p.What, err)
	}
	start, err := s.work.Head(ctx)
	if err != nil {
		return nil, err
	}
	s.start = start
	fired, cleared, failure := s.provoke(ctx, p)
	var raised []Raised
	for _, alert := range p.Alerts {
		raised = append(raised, Raised{Alert: alert, ProvokedBy: p.What, Fired: fired[alert], Cleared: cleared[alert]})
	}
	back, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return raised, errors.Join(failure, s.putBack(back, start))
}

func (s *Stage) provoke(ctx context.Context, p Provocation) (fired, cleared map[string]*float64, err error) {
	c, err := p.prepare(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	if _, err := s.listen(ctx, p, false); err != nil {
		return nil, nil, fmt.Errorf("before %s: %w", p.What, err)
	}
	s.tell("provoked", "%s", p.What)
	began, ended := time.Now(), false
	defer func() {
		if !ended {
			back, cancel := soon(context.WithoutCancel(ctx))
			defer cancel()
			err = errors.Join(err, c.end(back))
		}
	}()
	if err := c.begin(ctx); err != nil {
		return nil, nil, err
	}
	at, err := s.listen(ctx, p, true)
	fired = since(began, at)
	if err != nil {
		return fired, nil, err
	}
	ended = true
	began = time.Now()
	if err := c.end(ctx); err != nil {
		return fired, nil, err
	}
	at, err = s.listen(ctx, p, false)
	return fired, since(began, at), err
}

func since(began time.Time, at map[string]time.Time) map[string]*float64 {
	seconds := map[string]*float64{}
	for alert, t := range at {
		s := t.Sub(began).Seconds()
		seconds[alert] = &s
	}
	return seconds
}

// listen asks Prometheus until all alerts of a provocation fire, or none is even pending. It
// returns when each was first seen so.
func (s *Stage) listen(ctx context.Context, p Provocation, wanted bool) (map[string]time.Time, error) {
	verb, state := "has gone", prometheusv1.AlertState("")
	if wanted {
		verb, state = "fires", prometheusv1.AlertStateFiring
	}
	s.options.Detail(fmt.Sprintf("waiting until %s %s", strings.Join(p.Alerts, " and "), verb))
	ctx, cancel := context.WithTimeout(ctx, provokeTimeout)
	defer cancel()
	at := map[string]time.Time{}
	err := wait.PollUntilContextCancel(ctx, lookStep, true, func(ctx context.Context) (bool, error) {
		states, err := s.states(ctx, p.of)
		if err != nil {
			return false, err
		}
		for _, alert := range p.Alerts {
			if _, seen := at[alert]; !seen && states[alert] == state {
				at[alert] = time.Now()
				s.say("alert", alert+" "+verb)
			}
		}
		return len(at) == len(p.Alerts), nil
	})
	if err != nil {
		for _, alert := range p.Alerts {
			if _, seen := at[alert]; !seen {
				err = fmt.Errorf("waiting until %s %s: %w", alert, verb, err)
			}
		}
	}
	return at, err
}

// states returns the states, pending or firing, of the alerts that have all of the given labels, by
// their names.
func (s *Stage) states(ctx context.Context, of map[string]string) (map[string]prometheusv1.AlertState, error) {
	prometheus, err := s.prometheus()
	if err != nil {
		return nil, err
	}
	present, err := prometheus.Alerts(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus for its alerts: %w", err)
	}
	states := map[string]prometheusv1.AlertState{}
	for _, alert := range present.Alerts {
		name, is := string(alert.Labels[model.AlertNameLabel]), true
		for label, value := range of {
			is = is && alert.Labels[model.LabelName(label)] == model.LabelValue(value)
		}
		if is && states[name] != prometheusv1.AlertStateFiring {
			states[name] = alert.State
		}
	}
	return states, nil
}

// prometheus is the API of the lab's Prometheus.
func (s *Stage) prometheus() (prometheusv1.API, error) {
	client, err := prometheusapi.NewClient(prometheusapi.Config{Address: s.status.Prometheus})
	if err != nil {
		return nil, fmt.Errorf("the address of Prometheus: %w", err)
	}
	return prometheusv1.NewAPI(client), nil
}
