// Package alert makes the alerts of apps/monitoring fire in a lab, and end, by their causes.
package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gridos/sharedinfra/apps/monitoring"
	"github.com/gridos/sharedinfra/lab/internal/delivery"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/scenario"
	"github.com/gridos/sharedinfra/lab/internal/world"
)

// Factor divides every wait and every window of the rules: a minute becomes a second. With a larger
// one the shortest window, five minutes, would be too short for the scrapes, one a second.
const Factor = 60

// Scaled returns the rules in Git with their waits and windows, and the minute between two
// evaluations, divided by a number. toolsDir is the folder of the tools' modules: the parser is
// that of the cluster's Prometheus.
func Scaled(ctx context.Context, toolsDir string, by int64) (delivery.Rules, error) {
	groups, err := monitoring.Groups()
	if err != nil {
		return delivery.Rules{}, err
	}
	scaled, err := scale(ctx, toolsDir, by, groups)
	return delivery.Rules{Groups: scaled, Interval: (time.Minute / time.Duration(by)).String()}, err
}

func scale(ctx context.Context, toolsDir string, by int64, groups any) ([]delivery.RuleGroup, error) {
	text, err := json.Marshal(map[string]any{"by": by, "groups": groups})
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, "go", "run", "./scale")
	command.Dir = filepath.Join(toolsDir, "prometheus")
	var problems bytes.Buffer
	command.Stdin, command.Stderr = bytes.NewReader(text), &problems
	answer, err := command.Output()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("divide the waits of the rules by %d: %w\n%s", by, err, problems.String()), ctx.Err())
	}
	var scaled []delivery.RuleGroup
	return scaled, json.Unmarshal(answer, &scaled)
}

// Play makes the provocations one after the other in an environment that is up with --gitops. At
// the end Prometheus has the rules in Git again. The error names the alerts that did not fire, or
// did not end.
func Play(
	ctx context.Context, s site.Site, display *progress.Display, provocations []scenario.Provocation,
) (raised []scenario.Raised, err error) {
	rules, err := Scaled(ctx, s.ToolsDir(), Factor)
	if err != nil {
		return nil, err
	}
	var step *progress.Step
	err = world.Play(ctx, s, display, func(text string) { step.Update(text) }, func(stage *scenario.Stage) (err error) {
		defer func() {
			err = errors.Join(err, stage.UseRules(context.WithoutCancel(ctx), delivery.Rules{}))
		}()
		if err := stage.UseRules(ctx, rules); err != nil {
			return err
		}
		for _, p := range provocations {
			if ctx.Err() != nil {
				return errors.Join(err, ctx.Err())
			}
			step = display.Start(strings.Join(p.Alerts, ", "))
			became, failure := stage.Provoke(ctx, p)
			raised = append(raised, became...)
			if failure != nil {
				step.Fail(failure)
				err = errors.Join(err, failure)
				continue
			}
			step.Done(p.What)
		}
		return err
	})
	return raised, err
}
