// Command judge tells how Argo Rollouts judges measurements. It reads a JSON list of measurements on standard input and prints a
// line with the phase of each: Successful, Failed, Inconclusive or Error.
//
// It is a program of its own because the evaluator, with the dialect of expressions that its version knows, is part of the
// controller's module.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/sirupsen/logrus"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/evaluate"
)

// measurement is what Prometheus answered to the query of a metric, as text, because JSON has no NaN.
type measurement struct {
	Metric v1alpha1.Metric `json:"metric"`
	Result []string        `json:"result"`
}

func main() {
	if err := judge(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func judge() error {
	var measurements []measurement
	if err := json.NewDecoder(os.Stdin).Decode(&measurements); err != nil {
		return fmt.Errorf("standard input is no list of measurements: %w", err)
	}
	for _, m := range measurements {
		result := make([]float64, len(m.Result)) // never nil, as the controller has it
		for i, text := range m.Result {
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return fmt.Errorf("metric %s: the result %q is no number: %w", m.Metric.Name, text, err)
			}
			result[i] = value
		}
		phase, err := evaluate.EvaluateResult(result, m.Metric, *logrus.NewEntry(logrus.New()))
		if err != nil {
			fmt.Fprintf(os.Stderr, "metric %s: %v\n", m.Metric.Name, err)
		}
		fmt.Println(phase)
	}
	return nil
}
