// oneDNN's C interface, and the one function of the OpenMP runtime that Debian's oneDNN links.
#ifndef RING_ONEDNN_SHIM_H
#define RING_ONEDNN_SHIM_H

#include <dnnl.h>

void omp_set_num_threads(int count);

#endif
