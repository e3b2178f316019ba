#!/usr/bin/env node
/** What npm links as `millrace`: a file that is there before anything is built, or npm would link nothing. */
import "../dist/cli/main.js";
