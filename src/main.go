// Command gridos is the GridOS reference service: substation telemetry over HTTP, kept in
// PostgreSQL, and a dashboard for operators. docs/service.md in the repository says how to
// configure and use it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/gridos/sharedinfra/src/internal/demo"
	"github.com/gridos/sharedinfra/src/internal/service"
	"github.com/gridos/sharedinfra/src/internal/settings"
	"github.com/gridos/sharedinfra/src/internal/smoke"
)

// version is set when the image is built, see the Dockerfile.
var version string

const usage = `usage: gridos [serve | migrate | smoke [flags] | demo [flags] | version]

serve (the default) runs the service; it is configured by environment variables, see docs/service.md.
migrate prepares the database as the role that owns it, and ends; it is configured like serve.
smoke asks a running service, through its gateway, whether users get what they should.
demo sends made-up telemetry to a running service:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	command := "serve"
	if len(arguments) > 0 {
		command, arguments = arguments[0], arguments[1:]
	}
	switch command {
	case "serve", "migrate":
		if len(arguments) > 0 {
			return fmt.Errorf("gridos %s takes no arguments; it is configured by environment variables", command)
		}
		s, err := settings.Load(os.Getenv)
		if err != nil {
			return fmt.Errorf("the environment is not right:\n%w", err)
		}
		logger := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: s.LogLevel})).With("version", buildVersion())
		if command == "migrate" {
			return service.Prepare(ctx, s, logger)
		}
		return serve(ctx, s, logger)
	case "smoke":
		return runSmoke(ctx, arguments, stderr)
	case "demo":
		return runDemo(ctx, arguments, stderr)
	case "version":
		_, err := fmt.Fprintln(stdout, buildVersion())
		return err
	case "help", "-h", "-help", "--help":
		_, err := fmt.Fprint(stdout, usage)
		demoFlags(&demo.Options{}, stdout).PrintDefaults()
		return err
	default:
		return fmt.Errorf("there is no command %q; use serve, migrate, smoke, demo or version", command)
	}
}

func serve(ctx context.Context, s settings.Settings, logger *slog.Logger) error {
	replica, err := service.New(ctx, s, buildVersion(), logger)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.HTTPAddress)
	if err != nil {
		return fmt.Errorf("HTTP_ADDRESS %q cannot be listened on: %w", s.HTTPAddress, err)
	}
	return replica.Run(ctx, listener)
}

func demoFlags(options *demo.Options, output io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&options.URL, "url", "http://127.0.0.1:8080", "address of the service")
	flags.StringVar(&options.TokenFile, "token-file", "", "file with the token that the service asks for (INGEST_TOKEN_FILE)")
	flags.DurationVar(&options.Interval, "interval", 2*time.Second, "time between two values of a point")
	flags.DurationVar(&options.History, "history", 6*time.Hour, "how far back the values begin")
	flags.DurationVar(&options.HistoryStep, "history-step", 15*time.Second, "time between two values of the history")
	return flags
}

func runDemo(ctx context.Context, arguments []string, stderr io.Writer) error {
	var options demo.Options
	flags := demoFlags(&options, stderr)
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("gridos demo does not know %q; see gridos help", flags.Args())
	}
	return demo.Run(ctx, options, slog.New(slog.NewTextHandler(stderr, nil)))
}

func runSmoke(ctx context.Context, arguments []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("smoke", flag.ContinueOnError)
	flags.SetOutput(stderr)
	address := flags.String("url", "", "address of the gateway, such as http://gateway.example (required)")
	wait := flags.Duration("wait", time.Minute, "how long to ask again while an answer is wrong")
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if target, err := url.Parse(*address); err != nil || target.Host == "" || flags.NArg() > 0 || *wait < 0 {
		return fmt.Errorf("gridos smoke needs -url with an address such as http://gateway.example, and takes -wait; it got %q", arguments)
	}
	return smoke.Run(ctx, *address, *wait, slog.New(slog.NewJSONHandler(stderr, nil)).With("version", buildVersion()))
}

// buildVersion returns the version that the image was built with, or else the one that the go
// command recorded from the checkout.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
