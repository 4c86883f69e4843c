package regression

import (
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/scenario"
)

// Regression is a mistake that the repository once had, or the lack of what was made against it.
type Regression struct {
	// Name is its name on the command line.
	Name string
	// Mistake is the mistake, in a few words.
	Mistake string
	// Scenario is the name of the scenario that must fail, and Says are words of its reason.
	Scenario, Says string
	edits          []edit
}

// edit brings an earlier text of a file back.
type edit struct {
	// file is the file's path in the repository.
	file string
	// now is the text that it has, exactly once; "" says that there is no such file.
	now string
	// then is the earlier text.
	then string
}

// apply makes the mistake.
func (r Regression) apply(to scenario.Source) error {
	for _, e := range r.edits {
		var err error
		if e.now == "" {
			err = to.WriteFile(e.file, []byte(e.then))
		} else {
			err = to.Replace(e.file, e.now, e.then)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fromGit reports whether Git brings the mistake to the cluster; if not, a program of Pulumi does.
func (r Regression) fromGit() bool {
	for _, folder := range scenario.Folders() {
		if strings.HasPrefix(r.edits[0].file, folder+"/") {
			return true
		}
	}
	return false
}

const (
	base     = "applications/gridos/base/"
	noAbort  = "\n  progressDeadlineAbort: true\n"
	notGiven = "it was not aborted"
)

// All returns the regressions, in the order in which they are played.
func All() []Regression {
	return []Regression{
		{
			"configmap-pruned", "pods take their configuration from a generated ConfigMap, which the next sync prunes",
			"config-abort", "of the ConfigMap gridos-config-",
			[]edit{
				{base + "deployment.yaml", `          value: verify-full
        - name: DATABASE_AUTH
`, `          valueFrom:
            configMapKeyRef:
              name: gridos-config
              key: database-sslmode
        - name: DATABASE_AUTH
`},
				{base + "kustomization.yaml", "labels:\n", `configMapGenerator:
- name: gridos-config
  literals:
  - database-sslmode=verify-full
configurations:
- rollout-fields.yaml
labels:
`},
				{base + "rollout-fields.yaml", "", `nameReference:
- kind: ConfigMap
  version: v1
  fieldSpecs:
  - kind: Rollout
    group: argoproj.io
    path: spec/template/spec/containers/env/valueFrom/configMapKeyRef/name
`},
			},
		},
		{
			"edge-ports", "the edge leads to ports on which the mesh's gateway does not listen",
			scenario.GoodRelease, "502 Bad Gateway",
			[]edit{{
				"bootstrap/edge/edge.go", `"targetPort": pulumi.Int(number)`,
				`"targetPort": pulumi.Int(map[int]int{15021: 15021, 80: 8080, 443: 8443}[number])`,
			}},
		},
		{
			"firewall-limit", "the firewall has Azure's own limit of a body, and telemetry after an outage is longer",
			scenario.GoodRelease, "the firewall refuses the body",
			[]edit{{"infra/gateway/firewall.go", "			MaxRequestBodySizeInKb:      pulumi.Int(firewall.MaxBodyKB),\n", ""}},
		},
		{
			"blocked-partition", "a day that is due is dropped with a lock on all telemetry, again and again beside a long read",
			"long-read", "requests waited for a lock on a table",
			[]edit{
				{
					"src/internal/store/partition.go",
					"statements = []string{fmt.Sprintf(`ALTER TABLE telemetry DETACH PARTITION %s CONCURRENTLY`, p.name)}",
					"statements = nil",
				},
				{
					"src/internal/service/service.go", "\tdrop(ctx, database, s.Retention, logger)\n",
					`	err = insist(ctx, logger, "old partitions cannot be dropped; trying again", func(ctx context.Context) error {
		return database.DropDays(ctx, time.Now().Add(-s.Retention))
	})
	if err != nil {
		return err
	}
`,
				},
			},
		},
		{
			"secret-missing", "the Secret lacks a key that pods mount",
			"secrets", "names the key ingest-token of the Secret gridos-secrets, which is not there",
			[]edit{{base + "external-secret.yaml", "  - secretKey: ingest-token\n    remoteRef:\n      key: gridos-ingest-token\n", ""}},
		},
		{
			"crash-not-aborted", "a canary that ends at its start is never given up", "canary-crashes", notGiven,
			[]edit{{base + "rollout.yaml", noAbort, "\n"}},
		},
		{
			"unready-not-aborted", "a canary that never gets ready is never given up", "canary-unready", notGiven,
			[]edit{{base + "rollout.yaml", noAbort, "\n"}},
		},
	}
}
