package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gridos/sharedinfra/lab/bench/figures"
)

// bounds are the highest ratios allowed, by the ids of rows: the measured ratio and a quarter more,
// for a busy machine.
//
//go:embed bounds.json
var bounds []byte

// guarded are the measures that are cheap enough for every change: ratios, which a slow machine
// does not change.
func guarded() []measure {
	return []measure{
		{name: "preview", run: previews},
		{name: "makespan", run: makespans},
	}
}

func guardCommand() *cobra.Command {
	o := options{}
	var names []string
	for _, m := range guarded() {
		names = append(names, m.name)
	}
	cmd := &cobra.Command{
		Use:   "guard [MEASURE...]",
		Short: "Measure the cheap ratios, and fail if one has passed its recorded bound",
		Long: `Measures warm previews (preview) and the creation of environments (makespan) next to the engine alone, and compares
each ratio with its bound in lab/bench/bounds.json. A time by itself is never judged: it tells of the machine. The
previews run in the lab of this checkout if it is up, and otherwise bring it up and take it down.

Exit codes: 0 all are within their bounds, 1 one is not, or nothing could be measured.`,
		Example:   "  go run ./lab/bench guard\n  go run ./lab/bench guard preview --rounds 5",
		ValidArgs: names,
		Args:      cobra.OnlyValidArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			chosen := slices.DeleteFunc(guarded(), func(m measure) bool { return len(args) > 0 && !slices.Contains(args, m.name) })
			rows, err := runMeasures(cmd, o, chosen)
			if err != nil {
				return err
			}
			figures.Table(cmd.OutOrStdout(), rows)
			return judge(rows, bounds)
		},
	}
	cmd.Flags().IntVar(&o.rounds, "rounds", 3, "how often everything is measured")
	return cmd
}

// judge returns an error for each row above its bound, and for each row that has no bound, because
// such a row is not guarded.
func judge(rows []figures.Row, recorded []byte) error {
	var limits map[string]float64
	if err := json.Unmarshal(recorded, &limits); err != nil {
		return fmt.Errorf("lab/bench/bounds.json: %w", err)
	}
	var broken []error
	for _, r := range rows {
		switch limit, ok := limits[r.ID]; {
		case !ok:
			broken = append(broken, fmt.Errorf("%s has no bound in lab/bench/bounds.json; it is %.2f here", r.ID, r.Value))
		case r.Value > limit:
			broken = append(broken, fmt.Errorf("%s (%s, compared with %s) is %.2f, above its bound %.2f; find out what takes longer "+
				"(docs/performance.md tells how), or record a new bound and say why", r.ID, r.What, r.Against, r.Value, limit))
		}
	}
	return errors.Join(broken...)
}
