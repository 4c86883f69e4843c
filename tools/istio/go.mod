module github.com/gridos/sharedinfra/tools/istio

go 1.26.0

require istio.io/api v1.31.0
