/* The product's version, in one place. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define FOVEA_VERSION "0.1.0"

#endif
