# Installs what was built, builds examples/grad_cam against it alone, and runs that.
# usage: cmake -DBUILD=build/release -DSOURCE=. -DCOMPILER=g++ -P tests/installed.cmake
set(here ${BUILD}/tests/installed)
file(REMOVE_RECURSE ${here})
set(strict OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${here}/limn ${strict})
execute_process(COMMAND ${CMAKE_COMMAND} -S ${SOURCE}/examples/grad_cam -B ${here}/build -DCMAKE_PREFIX_PATH=${here}/limn
    -DCMAKE_CXX_COMPILER=${COMPILER} ${strict})
execute_process(COMMAND ${CMAKE_COMMAND} --build ${here}/build ${strict})
execute_process(COMMAND ${here}/build/grad_cam ${SOURCE}/docs/photos/chelsea.png ${here}/limn/share/limn/models/paws.h5 ${here}/seen.png
    OUTPUT_VARIABLE said COMMAND_ERROR_IS_FATAL ANY)
file(READ ${here}/seen.png start LIMIT 4 HEX)
if(NOT said MATCHES "^cat 0\\.9[0-9]+, seen by layer " OR NOT start STREQUAL "89504e47")
    message(FATAL_ERROR "examples/grad_cam says: ${said}")
endif()
