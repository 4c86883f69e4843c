package command

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

func TestUnit_AnInterruptedCommandSaysHowToGoOnAndWhatIsLeft(t *testing.T) {
	interruption := fmt.Errorf("gridos-infra: up: %w", context.Canceled)
	for verb, want := range map[string]string{
		"up":      "Stopped. `bin/lab up -s test` goes on from here, `bin/lab down -s test` deletes everything.",
		"down":    "Stopped. `bin/lab down -s test` goes on from here.",
		"preview": "Stopped. Nothing was changed.\nError: the folder is busy",
		"tools":   "Stopped.",
	} {
		err := interruption
		if verb == "preview" {
			err = errors.Join(errors.Join(interruption, errors.New("the folder is busy")), nil)
		}
		stopped := interruptedError{verb: verb, site: site.Site{Environment: "test"}, err: err}
		assert.Equal(t, want, stopped.Error())
	}
}
