# Stand-ins of CTK's and Slicer's macros: they copy into the build tree, and install from there.

function(_copy_and_install target_name destination install_dir)
  set(copied)
  foreach(file IN LISTS ARGN)
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "${target_name}: there is no file ${file}")
    endif()
    set(source ${CMAKE_CURRENT_SOURCE_DIR}/${file})
    set(copy ${destination}/${file})
    add_custom_command(OUTPUT ${copy} COMMAND ${CMAKE_COMMAND} -E copy ${source} ${copy} DEPENDS ${source})
    list(APPEND copied ${copy})
    get_filename_component(folder ${file} DIRECTORY)
    install(FILES ${copy} DESTINATION ${install_dir}/${folder})
  endforeach()
  add_custom_target(Copy${target_name}Files ALL DEPENDS ${copied})
endfunction()

macro(ctkMacroCompilePythonScript)
  cmake_parse_arguments(MY "NO_INSTALL_SUBDIR" "TARGET_NAME;DESTINATION_DIR;INSTALL_DIR" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "ctkMacroCompilePythonScript knows no ${MY_UNPARSED_ARGUMENTS}")
  endif()
  foreach(name TARGET_NAME SCRIPTS DESTINATION_DIR INSTALL_DIR)
    if(NOT DEFINED MY_${name})
      message(FATAL_ERROR "ctkMacroCompilePythonScript needs ${name}")
    endif()
  endforeach()
  if(NOT MY_NO_INSTALL_SUBDIR)
    message(FATAL_ERROR "without NO_INSTALL_SUBDIR the files would go into a folder of their own")
  endif()
  _copy_and_install(${MY_TARGET_NAME} ${MY_DESTINATION_DIR} ${MY_INSTALL_DIR} ${MY_SCRIPTS} ${MY_RESOURCES})
endmacro()

macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY_SLICER "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_SLICER_UNPARSED_ARGUMENTS OR NOT DEFINED MY_SLICER_NAME)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: ${MY_SLICER_UNPARSED_ARGUMENTS}")
  endif()
  ctkMacroCompilePythonScript(
    TARGET_NAME ${MY_SLICER_NAME}
    SCRIPTS "${MY_SLICER_SCRIPTS}"
    RESOURCES "${MY_SLICER_RESOURCES}"
    DESTINATION_DIR ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}
    INSTALL_DIR ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}
    NO_INSTALL_SUBDIR
    )
endmacro()

function(slicer_add_python_unittest)
  cmake_parse_arguments(MY "" "SCRIPT;TESTNAME_PREFIX" "SLICER_ARGS" ${ARGN})
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${MY_SCRIPT})
    message(FATAL_ERROR "there is no test ${MY_SCRIPT}")
  endif()
endfunction()
