// The vector helpers without any instruction set beyond the architecture's base. The text is in *_body.h.
#include "internal.h"

#include <math.h>

#define RING_ISA(name) name##_scalar
#include "bins_body.h"
#include "elementwise_body.h"
#include "normals_body.h"
