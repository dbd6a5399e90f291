// The accelerated data path (docs/data-paths.md), as one object: four programs and the maps that they share.
#include "endpoint.c"
#include "underlay.c"

// None of the helpers in use is lent only to programs under the GPL.
char the_license[] SEC("license") = "Apache-2.0";
