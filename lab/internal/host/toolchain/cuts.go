package toolchain

// The lab's builds leave out what its programs never call and what takes long to compile. Who calls
// it nevertheless gets an error that says so, but for `pulumi logs`, which shows nothing.

// without removes texts from a file, each of which is there once.
func without(module, file string, texts ...string) []Patch {
	var patches []Patch
	for _, text := range texts {
		patches = append(patches, Patch{Module: module, File: file, Old: text})
	}
	return patches
}

// leftOut keeps a file from being compiled.
func leftOut(module, file, packageClause string) Patch {
	return Patch{
		Module: module, File: file,
		Old: "\npackage " + packageClause + "\n", New: "\n//go:build ignore\n\npackage " + packageClause + "\n",
	}
}

// replaced replaces one text by another.
func replaced(module, file, from, to string) Patch {
	return Patch{Module: module, File: file, Old: from, New: to}
}

const (
	providerModule = "github.com/pulumi/pulumi-kubernetes/provider/v4"
	cliModule      = "github.com/pulumi/pulumi/pkg/v3"
)

// withoutComponents leaves the component resources out of the Kubernetes provider: ConfigFile,
// ConfigGroup, Chart of helm.sh/v4 and Directory. They alone import Pulumi's Kubernetes SDK for Go,
// whose generics cost more to compile than everything else together. The provider's other
// resources, Helm releases among them, do not use it.
func withoutComponents() []Patch {
	const construct = "pkg/provider/provider_construct.go"
	patches := without(providerModule, construct,
		`providerhelmv4 "`+providerModule+`/pkg/provider/helm/v4"`,
		`providerkustomizev2 "`+providerModule+`/pkg/provider/kustomize/v2"`,
		`provideryamlv2 "`+providerModule+`/pkg/provider/yaml/v2"`,
		`"kubernetes:yaml/v2:ConfigFile":     provideryamlv2.NewConfigFileProvider,`,
		`"kubernetes:yaml/v2:ConfigGroup":    provideryamlv2.NewConfigGroupProvider,`,
		`"kubernetes:helm.sh/v4:Chart":       providerhelmv4.NewChartProvider,`,
		`"kubernetes:kustomize/v2:Directory": providerkustomizev2.NewDirectoryProvider,`,
	)
	return append(
		append(patches,
			replaced(providerModule, construct, `"unknown resource type %q", typ)`,
				`"%s is a component resource, and the lab's build of the provider has none; `+
					`put Pulumi's own pulumi-resource-kubernetes, in the version that tools/ pins, on PATH", typ)`),
		),
		// This function is called by Chart only. It names one type of the SDK.
		append(
			without(providerModule, "pkg/helm/tool.go",
				`helmv4 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/helm/v4"`),
			replaced(providerModule, "pkg/helm/tool.go", "repoOpts helmv4.RepositoryOpts",
				"repoOpts struct{ CaFile, CertFile, KeyFile pulumi.AssetOrArchive; Password, Repo, Username *string }"),
		)...,
	)
}

// withoutClouds leaves the clients of AWS, Azure and Google out of the Pulumi CLI. The lab's states
// are files, and their secrets are encrypted by a passphrase.
func withoutClouds() []Patch {
	const (
		backend, bucket = "backend/diy/backend.go", "backend/diy/bucket.go"
		secrets         = "secrets/cloud/manager.go"
		refusal         = "the lab's build of the Pulumi CLI has no %s://; use Pulumi's own CLI"
	)
	state := append(
		without(cliModule, backend,
			`"`+cliModule+`/authhelpers"`,
			`_ "gocloud.dev/blob/azureblob"`,
			`"gocloud.dev/blob/gcsblob"`,
			`_ "gocloud.dev/blob/s3blob"`,
		),
		// Without this line the CLI takes s3:// for the address of Pulumi's own service.
		replaced(cliModule, backend, "return blob.DefaultURLMux().ValidBucketScheme(u.Scheme)",
			`return u.Scheme == "s3" || u.Scheme == "gs" || u.Scheme == "azblob" || blob.DefaultURLMux().ValidBucketScheme(u.Scheme)`),
		replaced(cliModule, backend, "p.Scheme == gcsblob.Scheme", "!blob.DefaultURLMux().ValidBucketScheme(p.Scheme)"),
		replaced(cliModule, backend, "blobmux, err = authhelpers.GoogleCredentialsMux(ctx)",
			`err = fmt.Errorf("`+refusal+`, or file://", p.Scheme)`),
	)
	const input = "*struct{ CopySource *string }" // that of S3's CopyObject
	state = append(state, without(cliModule, bucket, `awss3 "github.com/aws/aws-sdk-go-v2/service/s3"`)...)
	state = append(state,
		replaced(cliModule, bucket, "var input *awss3.CopyObjectInput", "var input "+input),
		replaced(cliModule, bucket, "input *awss3.CopyObjectInput)", "input "+input+")"),
	)
	keys := append(
		without(cliModule, secrets,
			`"`+cliModule+`/authhelpers"`,
			`_ "gocloud.dev/secrets/awskms"`,
			`_ "gocloud.dev/secrets/azurekeyvault"`,
			`"gocloud.dev/secrets/gcpkms"`,
			`_ "gocloud.dev/secrets/hashivault"`,
			`"google.golang.org/api/cloudkms/v1"`,
		),
		// The code of that case, which refers to what is left out, becomes a comment.
		replaced(cliModule, secrets, "case gcpkms.Scheme:", `case "awskms", "azurekeyvault", "gcpkms", "hashivault":
		return nil, fmt.Errorf("`+refusal+`, or a passphrase", u.Scheme) /*`),
		replaced(cliModule, secrets, "\tdefault:\n\t\treturn gosecrets.OpenKeeper", "*/\n\tdefault:\n\t\treturn gosecrets.OpenKeeper"),
	)
	// `pulumi logs` of resources in AWS and Google Cloud, which are not in these programs: it shows
	// none.
	logs := []Patch{
		leftOut(cliModule, "operations/operations_aws.go", "operations"),
		leftOut(cliModule, "operations/operations_cloud_aws.go", "operations"),
		leftOut(cliModule, "operations/operations_gcp.go", "operations"),
	}
	for _, call := range []string{
		"CloudOperationsProvider(ops.config, ops.resource)",
		"AWSOperationsProvider(ctx, ops.config, ops.resource)",
		"GCPOperationsProvider(ctx, ops.config, ops.resource)",
	} {
		logs = append(logs, replaced(cliModule, "operations/resources.go", "return "+call, "return nil, nil"))
	}
	return append(append(state, keys...), logs...)
}

const prometheusModule = "github.com/prometheus/prometheus"

// withoutItsSpecification leaves the OpenAPI specification out of Prometheus' API, at
// /api/v1/openapi.yaml: it alone imports a library that takes an eighth of the build.
func withoutItsSpecification() []Patch {
	const folder = "web/api/v1/"
	patches := without(prometheusModule, folder+"openapi.go",
		`"net/url"`,
		`"path"`,
		`"strings"`,
		`"github.com/pb33f/libopenapi/datamodel/high/base"`,
		`v3 "github.com/pb33f/libopenapi/datamodel/high/v3"`,
		`"github.com/pb33f/libopenapi/orderedmap"`,
	)
	patches = append(patches, // what refers to it becomes two comments
		replaced(prometheusModule, folder+"openapi.go", "\t// Build OpenAPI 3.1 spec.\n", "\t/*\n"),
		replaced(prometheusModule, folder+"openapi.go", "\tb.cachedYAML32 = yamlBytes32\n", "\t*/\n"),
		replaced(prometheusModule, folder+"openapi.go", "// searchDefaultLimit returns", "/*"),
		replaced(prometheusModule, folder+"openapi.go", "b.featuresPath())\n\n\treturn paths\n}\n", "*/\n"),
	)
	for _, file := range []string{"examples", "helpers", "paths", "schemas"} {
		patches = append(patches, leftOut(prometheusModule, folder+"openapi_"+file+".go", "v1"))
	}
	return patches
}
